export type { RunningServer } from "../core/index.js";
export { serveTcp, type ServerTls, type TcpOptions, type TcpServer } from "./serve.js";
