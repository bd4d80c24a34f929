import type { Logger as PinoLogger } from "pino";

/** A structured logger (pino's). */
export type Logger = PinoLogger;

/** The token under which the shim's {@link Logger} is registered. */
export const Logger = Symbol("Logger");
