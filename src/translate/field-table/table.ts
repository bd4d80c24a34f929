import { containerFields } from "./containers.js";
import { otherFields } from "./others.js";
import { podFields } from "./pods.js";
import type { FieldTable } from "./treatment.js";

/**
 * Every field of every message that a request can hold, and what becomes of it. A test walks the contract and
 * fails for a field that nobody has decided on.
 */
export const fieldTable: FieldTable = { ...podFields, ...containerFields, ...otherFields };
