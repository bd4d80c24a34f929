export type { LifeEvent } from "./life-events.js";
export type { ExecEnds, ExpectedEnd } from "./exec-ends.js";
export { Inventory, type ConnectionState, type EngineFacts } from "./inventory.js";
export type { ImageRecord } from "./image-index.js";
export {
  stageOf,
  type ContainerRecord,
  type SandboxRecord,
  type Stage,
  type WorkloadRecord,
} from "./record.js";
