export { Stats } from "./stats.js";
