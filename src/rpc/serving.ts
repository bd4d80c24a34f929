/**
 * The part of rpc that adapters need: everything but the handlers. Importing those evaluates the decorators of all
 * modules, which fails before composition has loaded the polyfill.
 */
export type { CallObserver, ObservedCall } from "./call-observer.js";
export { Calls } from "./calls.js";
export { GrpcServer } from "./grpc/server.js";
export { mountCalls, mountHandlers } from "./mount.js";
export type { ServiceName } from "./services.js";
export type { HandlerClass, HandlerOf, HandlerTable } from "./table-types.js";
export type { RpcOptions, RpcTarget } from "./target.js";
