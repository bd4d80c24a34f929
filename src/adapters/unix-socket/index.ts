export type { RunningServer } from "../core/index.js";
export { serveUnixSocket, type UnixSocketOptions } from "./serve.js";
