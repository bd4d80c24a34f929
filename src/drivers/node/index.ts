export { NodeHost } from "./node-host.js";
