import { present } from "../../../base/index.js";
import type { DockerInfo, DockerRuntime, DockerVersion } from "../../../docker/index.js";
import { fields, flag, list, mustBeObject, oneOf, positive, text, texts } from "./json.js";

const featuresKey = "org.opencontainers.runtime-spec.features";

/** @see Docker API GET /version */
export function decodeVersion(json: unknown): DockerVersion {
  const version = mustBeObject(json, "the version");
  return present({
    engineVersion: text(version["Version"]),
    apiVersion: text(version["ApiVersion"]),
    minApiVersion: text(version["MinAPIVersion"]),
    kernelVersion: text(version["KernelVersion"]),
  });
}

/** @see Docker API GET /info */
export function decodeInfo(json: unknown): DockerInfo {
  const info = mustBeObject(json, "the engine's description");
  const cgroupVersion = oneOf(info["CgroupVersion"], "1", "2");
  return present({
    engineId: text(info["ID"]),
    engineVersion: text(info["ServerVersion"]),
    hostname: text(info["Name"]),
    cgroupDriver: oneOf(info["CgroupDriver"], "cgroupfs", "systemd", "none"),
    cgroupVersion:
      cgroupVersion === undefined ? undefined : cgroupVersion === "1" ? (1 as const) : (2 as const),
    rootDirectory: text(info["DockerRootDir"]),
    storageDriver: text(info["Driver"]),
    containerdImageStore: usesContainerdStore(info["DriverStatus"]),
    logDriver: text(info["LoggingDriver"]),
    defaultRuntime: text(info["DefaultRuntime"]),
    runtimes: Object.entries(fields(info["Runtimes"])).map(decodeRuntime),
    securityOptions: texts(info["SecurityOptions"]) ?? [],
    liveRestore: flag(info["LiveRestoreEnabled"]),
    experimental: flag(info["ExperimentalBuild"]),
    kernelVersion: text(info["KernelVersion"]),
    cpus: positive(info["NCPU"]),
    memoryBytes: positive(info["MemTotal"]),
    swapLimitSupported: flag(info["SwapLimit"]),
    cdiSpecDirectories: texts(info["CDISpecDirs"]),
    warnings: texts(info["Warnings"]) ?? [],
  });
}

/** Only in a table for human readers. */
function usesContainerdStore(driverStatus: unknown): boolean {
  return list(driverStatus).some((row) => {
    const [key, value] = texts(row) ?? [];
    return key === "driver-type" && value?.startsWith("io.containerd.snapshotter") === true;
  });
}

function decodeRuntime([name, json]: [string, unknown]): DockerRuntime {
  return present({ name, mountOptions: mountOptions(text(fields(fields(json)["status"])[featuresKey])) });
}

/** The runtime's features are JSON inside a string; an invalid one is ignored. */
function mountOptions(features: string | undefined): string[] | undefined {
  if (features === undefined) return undefined;
  try {
    return texts(fields(JSON.parse(features))["mountOptions"]);
  } catch {
    return undefined;
  }
}
