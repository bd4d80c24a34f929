export { createClients, type ClientOptions, type ClientTls, type Clients } from "./clients.js";
/** Every message, enum and service of CRI v1. */
export * from "../gen/runtime/v1/api_pb.js";
