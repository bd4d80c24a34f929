import { ShimError } from "../base/index.js";
import type { ShimConfig } from "../config/index.js";
import type { DockerHostConfig, DockerInfo, DockerRuntime } from "../docker/index.js";
import { quote } from "./validation.js";
import { dockerLogConfig } from "./log-config.js";

/** The capabilities of the engine and its node, and the settings of the shim, that a create request depends on. */
export interface EngineEnvironment {
  readonly cgroupDriver: "cgroupfs" | "systemd";
  readonly cgroupVersion: 1 | 2;
  /** The API version in use, `[1, 41]`. */
  readonly apiVersion: readonly [major: number, minor: number];
  readonly runtimes: readonly DockerRuntime[];
  readonly defaultRuntime?: string;
  /** `uname -r` of the engine's node. */
  readonly kernelRelease: string;
  /** The host name of the engine's node. Absent if Docker does not report it. */
  readonly hostname?: string;
  readonly swapLimitSupported: boolean;
  /** The security modules that the engine has enabled. */
  readonly security: { readonly seccomp: boolean; readonly apparmor: boolean; readonly selinux: boolean };
  /** dockerd runs with `userns-remap`. */
  readonly usernsRemapped: boolean;
  readonly cdiEnabled: boolean;
  /** The lowest oom_score_adj of a container. Absent: no limit. */
  readonly oomScoreAdjFloor?: number;
  /** Docker's network for pods without host network: `none` with CNI. */
  readonly networkMode: "none" | "default";
  /** Docker's log driver for every container. Absent: the daemon's default. */
  readonly logConfig?: NonNullable<DockerHostConfig["logConfig"]>;
  /** Whether a missing host path of a mount is created or is an error. */
  readonly missingHostPath: "create" | "refuse";
}

/** Derives the environment from Docker's info and the shim's settings. */
export function engineEnvironment(facts: {
  readonly info: DockerInfo;
  readonly apiVersion: readonly [major: number, minor: number];
  /** `uname -r` of the shim's node, for engines that do not report theirs. */
  readonly kernelRelease: string;
  /** Of the shim's own process. */
  readonly oomScoreAdj: number;
  readonly config: Pick<ShimConfig, "network" | "logs" | "missingHostPath" | "restrictOomScoreAdj">;
}): EngineEnvironment {
  const { info, apiVersion, config } = facts;
  return {
    cgroupDriver: info.cgroupDriver === "systemd" ? "systemd" : "cgroupfs",
    cgroupVersion: info.cgroupVersion ?? 1,
    apiVersion,
    runtimes: info.runtimes,
    ...(info.defaultRuntime === undefined ? {} : { defaultRuntime: info.defaultRuntime }),
    kernelRelease: info.kernelVersion ?? facts.kernelRelease,
    ...(info.hostname === undefined ? {} : { hostname: info.hostname }),
    swapLimitSupported: info.swapLimitSupported ?? false,
    security: {
      seccomp: hasModule(info, "seccomp"),
      apparmor: hasModule(info, "apparmor"),
      selinux: hasModule(info, "selinux"),
    },
    usernsRemapped: hasModule(info, "userns"),
    cdiEnabled: (info.cdiSpecDirectories ?? []).length > 0,
    ...(config.restrictOomScoreAdj ? { oomScoreAdjFloor: facts.oomScoreAdj } : {}),
    networkMode: config.network.plugin === "cni" ? "none" : "default",
    logConfig: dockerLogConfig(config.logs, apiVersion),
    missingHostPath: config.missingHostPath,
  };
}

function hasModule({ securityOptions }: DockerInfo, module: string): boolean {
  return securityOptions.some((option) => option.split(",").includes(`name=${module}`) || option === module);
}

/** True when the API in use is at least `1.minor`. */
export function speaksApi({ apiVersion: [major, own] }: EngineEnvironment, minor: number): boolean {
  return major > 1 || (major === 1 && own >= minor);
}

/**
 * The OCI runtime for a RuntimeClass handler; undefined for the engine's default. `docker` is the default too: clusters
 * that migrated from the kubelet's dockershim still use it.
 * @throws ShimError "invalid-argument" with the list of known handlers.
 */
export function resolveRuntime(handler: string, { runtimes }: EngineEnvironment): string | undefined {
  if (handler === "") return undefined;
  if (runtimes.some((runtime) => runtime.name === handler)) return handler;
  if (handler === "docker") return undefined;
  const known = runtimes.map((runtime) => runtime.name).join(", ") || "none";
  throw new ShimError(
    "invalid-argument",
    `runtime_handler ${quote(handler)} is not one of Docker's runtimes (${known}): ` +
      `add it to "runtimes" in daemon.json and reload Docker, or use another RuntimeClass`,
  );
}

/**
 * Whether a handler supports recursive read-only mounts: Docker 25, Linux 5.12, and a runtime that reports `rro`.
 * @param handler Empty for the default runtime.
 */
export function recursiveReadOnlySupported(env: EngineEnvironment, handler: string): boolean {
  const name = handler === "" || handler === "docker" ? env.defaultRuntime : handler;
  const runtime = env.runtimes.find((each) => each.name === name);
  const [major = 0, minor = 0] = env.kernelRelease.split(".").map((part) => Number.parseInt(part, 10));
  return (
    speaksApi(env, 44) &&
    (major > 5 || (major === 5 && minor >= 12)) &&
    (runtime?.mountOptions ?? []).includes("rro")
  );
}

/** Raises `score` to the floor, if there is one. */
export function clampOomScoreAdj(score: number, { oomScoreAdjFloor }: EngineEnvironment): number {
  return oomScoreAdjFloor === undefined ? score : Math.max(score, oomScoreAdjFloor);
}

/**
 * Translates CRI's cgroup parent, a path. With the systemd driver Docker expects its last element, a slice.
 * @throws ShimError "invalid-argument" when that is not a slice: kubelet and Docker use different cgroup drivers.
 */
export function cgroupParent(path: string, { cgroupDriver }: EngineEnvironment): string | undefined {
  if (path === "") return undefined;
  if (cgroupDriver === "cgroupfs") return path;
  const slice = path.split("/").findLast((part) => part !== "") ?? "";
  if (slice.endsWith(".slice")) return slice;
  throw new ShimError(
    "invalid-argument",
    `linux.cgroup_parent ${quote(path)} does not end with .slice, but Docker's cgroup driver is systemd: ` +
      `set the kubelet's cgroupDriver to systemd, or Docker's native.cgroupdriver to cgroupfs`,
  );
}
