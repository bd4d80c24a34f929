/** The engine's properties. Everything may be changed while it runs. */
export interface EngineSettings {
  engineVersion: string;
  /** The newest API version that it speaks, `[1, 48]`. */
  apiVersion: readonly [major: number, minor: number];
  cgroupDriver: "cgroupfs" | "systemd";
  /** Names of OCI runtimes, the default one first. */
  runtimes: readonly string[];
  /** Containers go on running while the daemon is stopped. */
  liveRestore: boolean;
  /**
   * True: each container has a small init, as with dockerd --init, so that SIGTERM ends a program that has no
   * handler. False: as the kernel treats a namespace's first process, such a signal does nothing.
   */
  init: boolean;
  swapLimitSupported: boolean;
  cpus: number;
  memoryBytes: number;
  /** Where it looks for CDI specs; empty turns CDI off. */
  cdiSpecDirectories: readonly string[];
  /** How long the engine's own work takes, in milliseconds; meanwhile containers are visible half made. */
  timing: { createMs: number; startMs: number; removeMs: number };
}

export const defaultSettings: Readonly<EngineSettings> = {
  engineVersion: "28.3.0+memory",
  apiVersion: [1, 48],
  cgroupDriver: "cgroupfs",
  runtimes: ["runc"],
  liveRestore: false,
  init: true,
  swapLimitSupported: true,
  cpus: 4,
  memoryBytes: 8 * 1024 ** 3,
  cdiSpecDirectories: [],
  timing: { createMs: 0, startMs: 0, removeMs: 0 },
};
