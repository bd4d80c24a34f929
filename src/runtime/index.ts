export { Runtime } from "./runtime.js";
