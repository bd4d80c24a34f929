/**
 * What adapters need of rpc: all but the handlers. Importing those makes tsyringe read the decorators of every
 * room, which an adapter alone has no use for, and which fails before composition has loaded its polyfill.
 */
export { Calls } from "./calls.js";
export { GrpcServer } from "./grpc/server.js";
export { mountCalls, mountHandlers } from "./mount.js";
export type { ServiceName } from "./services.js";
export type { HandlerClass, HandlerOf, HandlerTable } from "./table-types.js";
export type { RpcOptions, RpcTarget } from "./target.js";
