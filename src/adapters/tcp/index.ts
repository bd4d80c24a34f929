export type { RunningServer } from "../core/index.js";
export { serveTcp, type TcpOptions, type TcpServer } from "./serve.js";
export type { ServerTls } from "./tls.js";
