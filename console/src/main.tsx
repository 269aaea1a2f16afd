/** Starts the console in the page. */
import { render } from "preact";
import { Shell } from "./shell";
import { start } from "./signed-in";
import "./style/console.css";

const place = document.getElementById("console");
if (!place) throw new Error("index.html has no element for the console");
place.replaceChildren();
render(<Shell />, place);
start();
