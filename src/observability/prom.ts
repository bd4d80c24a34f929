import type * as prom from "prom-client";
import type { Registry } from "prom-client";

export type { Registry } from "prom-client";
export type Prom = typeof prom;

let ofProcess: Registry | undefined;

/** Loads the library of metrics, which a shim without them does not need. */
export async function loadProm(): Promise<Prom> {
  return await import("prom-client");
}

/**
 * The metrics of this process that the library has: event loop, heap, garbage collection, CPU, descriptors. They are kept
 * once for all shims of a process, for what observes them is never ended by the library.
 */
export function processRegistry({ Registry, collectDefaultMetrics }: Prom): Registry {
  if (!ofProcess) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }
  return ofProcess;
}
