export { SandboxCreator } from "./sandbox-creator.js";
export { SandboxRecovery } from "./sandbox-recovery.js";
export { Sandboxes } from "./sandboxes.js";
export { Teardown } from "./teardown.js";
