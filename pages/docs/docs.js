/** Shows the API of this deployment with Swagger UI. Credentials stay in the memory of this tab. */

const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
applyTheme();
dark.addEventListener("change", applyTheme);

/**
 * Authorize asks for tokens only: nobody can type a signature, which is another one for each request. It
 * begins with the first token, where Swagger UI by itself goes to the last.
 */
const authorizeWithTokens = {
  statePlugins: {
    auth: {
      wrapSelectors: {
        definitionsToAuthorize:
          (original) =>
          (...args) =>
            original(...args).filter((definition) => definition.first().get("type") === "http"),
      },
    },
  },
  wrapComponents: {
    authorizationPopup: (Original, { React }) =>
      class extends React.Component {
        componentDidMount() {
          document.querySelector(".auth-container input")?.focus();
        }
        render() {
          return React.createElement(Original, this.props);
        }
      },
  },
};

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  plugins: [authorizeWithTokens],
  // Closed groups: a newcomer sees all subjects at once.
  docExpansion: "none",
  // Links to one operation can be sent to others.
  deepLinking: true,
  // The list of schemas at the end of the page starts closed.
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false,
});
