export { BufferPool } from "./buffer-pool.js";
export { LogWriter } from "./log-writer.js";
export { Pump } from "./pump.js";
