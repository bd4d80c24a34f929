export {
  listen,
  runningServer,
  stopListening,
  survive,
  targetWithLog,
  type RunningServer,
  type ServerOptions,
} from "./running-server.js";
export { SocketServer } from "./socket-server.js";
