import type { EngineEnvironment } from "../../../src/translate/index.js";

/** Docker 26 on a node with cgroup v2, seccomp and AppArmor, changed as a test needs it. */
export function environment(changes: Partial<EngineEnvironment> = {}): EngineEnvironment {
  return {
    cgroupDriver: "cgroupfs",
    cgroupVersion: 2,
    apiVersion: [1, 45],
    runtimes: [{ name: "runc", mountOptions: ["ro", "rro"] }, { name: "kata" }],
    defaultRuntime: "runc",
    kernelRelease: "6.1.0-13-amd64",
    hostname: "node-1",
    swapLimitSupported: true,
    security: { seccomp: true, apparmor: true, selinux: false },
    usernsRemapped: false,
    cdiEnabled: true,
    networkMode: "none",
    missingHostPath: "create",
    ...changes,
  };
}

/** Docker 20.10 on a node with cgroup v1 and nothing else. */
export const oldEnvironment = environment({
  cgroupVersion: 1,
  apiVersion: [1, 41],
  runtimes: [{ name: "runc" }],
  security: { seccomp: true, apparmor: false, selinux: false },
  cdiEnabled: false,
});
