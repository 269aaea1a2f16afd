/** Shows the API of this deployment with Swagger UI. Credentials stay in the memory of this tab. */

const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
applyTheme();
dark.addEventListener("change", applyTheme);

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  // Links to one operation can be sent to others.
  deepLinking: true,
  // The list of schemas at the end of the page starts closed.
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false,
});
