/** The engine's properties. All can be changed while it runs. */
export interface EngineSettings {
  engineVersion: string;
  /** The newest API version that it supports, `[1, 48]`. */
  apiVersion: readonly [major: number, minor: number];
  cgroupDriver: "cgroupfs" | "systemd";
  /** Names of OCI runtimes, the default one first. */
  runtimes: readonly string[];
  /** Containers keep running while the daemon is stopped. */
  liveRestore: boolean;
  /**
   * True: each container has a small init, as with dockerd --init, so that SIGTERM ends a program that has no
   * handler. False: as the kernel treats a namespace's first process, such a signal does nothing.
   */
  init: boolean;
  swapLimitSupported: boolean;
  cpus: number;
  memoryBytes: number;
  /** The folders of CDI specs; empty turns CDI off. */
  cdiSpecDirectories: readonly string[];
  /** The duration of the engine's own work in milliseconds, during which incomplete containers are visible. */
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
