export { handlerTable } from "./handler-table.js";
export * from "./serving.js";
