import { pino } from "pino";
import { createShim, type Shim, type ShimOptions } from "../composition/index.js";
import { createMemoryDocker, type MemoryDocker, type MemoryImage } from "../drivers/memory/index.js";

export interface TestShimOptions extends Omit<ShimOptions, "engine" | "host"> {
  /**
   * Images that are on the node from the start, beside the sandbox image; every registry has them too. Their programs
   * are functions: `{ name: "app:1", programs: { "/bin/server": async (process) => { … } } }`.
   */
  readonly images?: readonly (string | MemoryImage)[];
}

/** A shim with an engine in memory, for tests of programs that use CRI. */
export interface TestShim extends AsyncDisposable {
  readonly shim: Shim;
  /** The engine, to inject faults, end containers and count calls. */
  readonly engine: MemoryDocker;
}

/**
 * Creates a shim with an engine in memory, ready for calls. It needs no root, no Docker and no network; pods are
 * on Docker's bridge unless `network` is given, and nothing is logged unless `log` is given.
 */
export async function createTestShim(options: TestShimOptions = {}): Promise<TestShim> {
  const { images = [], ...rest } = options;
  const sandboxImage = rest.sandboxImage ?? "registry.k8s.io/pause:3.10";
  const engine = createMemoryDocker({ images: [sandboxImage, ...images] });
  const shim = await createShim({
    log: pino({ level: "silent" }),
    network: { plugin: "none" },
    ...rest,
    engine,
    host: engine.host,
  });
  await shim.start();
  return {
    shim,
    engine,
    async [Symbol.asyncDispose]() {
      await shim.close();
    },
  };
}
