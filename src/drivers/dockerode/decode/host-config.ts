import { present } from "../../../base/index.js";
import type {
  DockerDevice,
  DockerHostConfig,
  DockerMount,
  DockerPortBinding,
  DockerResources,
} from "../../../docker/index.js";
import {
  fields,
  flag,
  list,
  number,
  object,
  oneOf,
  positive,
  text,
  textMap,
  texts,
  type Json,
} from "./json.js";

/** The HostConfig of an inspected container. */
export function decodeHostConfig(host: Json): DockerHostConfig {
  const ports = Object.entries(fields(host["PortBindings"])).flatMap(decodePortBindings);
  return present({
    networkMode: text(host["NetworkMode"]),
    ipcMode: text(host["IpcMode"]),
    pidMode: text(host["PidMode"]),
    utsMode: text(host["UTSMode"]),
    usernsMode: text(host["UsernsMode"]),
    init: flag(host["Init"]),
    privileged: flag(host["Privileged"]),
    readonlyRootfs: flag(host["ReadonlyRootfs"]),
    capAdd: texts(host["CapAdd"]),
    capDrop: texts(host["CapDrop"]),
    groupAdd: texts(host["GroupAdd"]),
    securityOpt: texts(host["SecurityOpt"]),
    maskedPaths: texts(host["MaskedPaths"]),
    readonlyPaths: texts(host["ReadonlyPaths"]),
    sysctls: textMap(host["Sysctls"]),
    mounts: Array.isArray(host["Mounts"]) ? list(host["Mounts"]).flatMap(decodeMount) : undefined,
    binds: texts(host["Binds"]),
    tmpfs: textMap(host["Tmpfs"]),
    devices: Array.isArray(host["Devices"]) ? list(host["Devices"]).flatMap(decodeDevice) : undefined,
    cdiDevices: cdiDevices(host["DeviceRequests"]),
    cgroupParent: text(host["CgroupParent"]),
    cgroupnsMode: text(host["CgroupnsMode"]),
    resources: decodeResources(host),
    shmSizeBytes: positive(host["ShmSize"]),
    runtime: text(host["Runtime"]),
    logConfig: decodeLogConfig(host["LogConfig"]),
    portBindings: ports.length === 0 ? undefined : ports,
    restartPolicy: oneOf(
      fields(host["RestartPolicy"])["Name"],
      "no",
      "always",
      "on-failure",
      "unless-stopped",
    ),
    dns: texts(host["Dns"]),
    dnsSearch: texts(host["DnsSearch"]),
    dnsOptions: texts(host["DnsOptions"]),
    extraHosts: texts(host["ExtraHosts"]),
  });
}

function decodeResources(host: Json): DockerResources {
  return present({
    cpuPeriodMicros: positive(host["CpuPeriod"]),
    cpuQuotaMicros: positive(host["CpuQuota"]),
    cpuShares: positive(host["CpuShares"]),
    cpusetCpus: text(host["CpusetCpus"]),
    cpusetMems: text(host["CpusetMems"]),
    memoryBytes: positive(host["Memory"]),
    memorySwapBytes: notZero(host["MemorySwap"]),
    memoryReservationBytes: positive(host["MemoryReservation"]),
    oomScoreAdj: number(host["OomScoreAdj"]),
    pidsLimit: positive(host["PidsLimit"]),
  });
}

/** -1 means unlimited swap, and 0 that it was not set. */
function notZero(value: unknown): number | undefined {
  const known = number(value);
  return known === 0 ? undefined : known;
}

function decodeMount(json: unknown): DockerMount[] {
  const mount = fields(json);
  const type = oneOf(mount["Type"], "bind", "image", "tmpfs", "volume");
  const target = text(mount["Target"]);
  if (type === undefined || target === undefined) return [];
  const bind = fields(mount["BindOptions"]);
  return [
    present({
      type,
      source: text(mount["Source"]) ?? "",
      target,
      readonly: flag(mount["ReadOnly"]),
      propagation: oneOf(bind["Propagation"], "private", "rprivate", "slave", "rslave", "shared", "rshared"),
      readonlyNonRecursive: flag(bind["ReadOnlyNonRecursive"]),
      readonlyForceRecursive: flag(bind["ReadOnlyForceRecursive"]),
      createMountpoint: flag(bind["CreateMountpoint"]),
      imageSubpath: text(fields(mount["ImageOptions"])["Subpath"]),
    }),
  ];
}

function decodeDevice(json: unknown): DockerDevice[] {
  const device = fields(json);
  const hostPath = text(device["PathOnHost"]);
  if (hostPath === undefined) return [];
  return [
    {
      hostPath,
      containerPath: text(device["PathInContainer"]) ?? hostPath,
      permissions: text(device["CgroupPermissions"]) ?? "",
    },
  ];
}

function cdiDevices(json: unknown): string[] | undefined {
  const names = list(json)
    .map(fields)
    .filter((request) => request["Driver"] === "cdi")
    .flatMap((request) => texts(request["DeviceIDs"]) ?? []);
  return names.length === 0 ? undefined : names;
}

function decodeLogConfig(json: unknown): DockerHostConfig["logConfig"] {
  const config = object(json);
  const driver = text(config?.["Type"]);
  if (config === undefined || driver === undefined) return undefined;
  return present({ driver, options: textMap(config["Config"]) });
}

function decodePortBindings([port, json]: [string, unknown]): DockerPortBinding[] {
  const [, digits, word] = /^(\d{1,5})\/(tcp|udp|sctp)$/.exec(port) ?? [];
  const protocol = oneOf(word, "tcp", "udp", "sctp");
  if (digits === undefined || protocol === undefined) return [];
  return list(json).flatMap((each) => {
    const binding = fields(each);
    const hostPort = Number(text(binding["HostPort"]) ?? NaN);
    if (!Number.isInteger(hostPort)) return [];
    return [present({ containerPort: Number(digits), protocol, hostPort, hostIp: text(binding["HostIp"]) })];
  });
}
