import { containerFields } from "./containers.js";
import { otherFields } from "./others.js";
import { podFields } from "./pods.js";
import type { FieldTable } from "./treatment.js";

/**
 * The treatment of every field of every request message. A test fails for a field of the contract without an entry.
 */
export const fieldTable: FieldTable = { ...podFields, ...containerFields, ...otherFields };
