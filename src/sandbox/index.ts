export { Sandboxes } from "./sandboxes.js";
export { Teardown } from "./teardown.js";
