export { type CheckpointedPortMapping, type SandboxCheckpoint } from "./checkpoint.js";
export { Checkpoints } from "./checkpoints.js";
