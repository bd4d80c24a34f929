export { refuseUnsupported } from "./refuse-unsupported.js";
export { fieldTable } from "./table.js";
export type { FieldTable, Treatment } from "./treatment.js";
