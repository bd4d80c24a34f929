import { ShimError, present } from "../../../base/index.js";
import type {
  DockerContainerConfig,
  DockerContainerSpec,
  DockerHostConfig,
  DockerMount,
  DockerPortBinding,
} from "../../../docker/index.js";
import { formatApiVersion, isOlder, type ApiVersion } from "../api-version.js";
import {} from "../decode/json.js";
import { encodeResources } from "./resources.js";

/**
 * The body of a create.
 * @throws ShimError "unsupported" for what the API in use would silently leave out.
 * @see Docker API POST /containers/create
 */
export function encodeContainer(spec: DockerContainerSpec, version: ApiVersion): object {
  return { ...encodeConfig(spec.config), HostConfig: encodeHostConfig(spec.host, version) };
}

function encodeConfig(config: DockerContainerConfig): object {
  const { healthcheckDisabled } = config;
  return present({
    Image: config.image,
    Hostname: config.hostname,
    Domainname: config.domainname,
    User: config.user,
    Entrypoint: config.entrypoint,
    Cmd: config.command,
    Env: config.env,
    WorkingDir: config.workingDir,
    Labels: config.labels,
    Tty: config.tty,
    OpenStdin: config.openStdin,
    StdinOnce: config.stdinOnce,
    StopSignal: config.stopSignal,
    ExposedPorts: config.exposedPorts && Object.fromEntries(config.exposedPorts.map((port) => [port, {}])),
    Healthcheck: healthcheckDisabled === true ? { Test: ["NONE"] } : undefined,
  });
}

function encodeHostConfig(host: DockerHostConfig, version: ApiVersion): object {
  const { cdiDevices, logConfig, restartPolicy } = host;
  if (cdiDevices !== undefined && cdiDevices.length > 0) mustHave(version, [1, 44], "CDI devices");
  return present({
    NetworkMode: host.networkMode,
    IpcMode: host.ipcMode,
    PidMode: host.pidMode,
    UTSMode: host.utsMode,
    UsernsMode: host.usernsMode,
    Init: host.init,
    Privileged: host.privileged,
    ReadonlyRootfs: host.readonlyRootfs,
    CapAdd: host.capAdd,
    CapDrop: host.capDrop,
    GroupAdd: host.groupAdd,
    SecurityOpt: host.securityOpt,
    MaskedPaths: host.maskedPaths,
    ReadonlyPaths: host.readonlyPaths,
    Sysctls: host.sysctls,
    Mounts: host.mounts?.map((mount) => encodeMount(mount, version)),
    Binds: host.binds,
    Tmpfs: host.tmpfs,
    Devices: host.devices?.map((device) => ({
      PathOnHost: device.hostPath,
      PathInContainer: device.containerPath,
      CgroupPermissions: device.permissions,
    })),
    DeviceRequests:
      cdiDevices === undefined || cdiDevices.length === 0
        ? undefined
        : [{ Driver: "cdi", DeviceIDs: cdiDevices }],
    CgroupParent: host.cgroupParent,
    CgroupnsMode: host.cgroupnsMode,
    ...encodeResources(host.resources ?? {}),
    ShmSize: host.shmSizeBytes,
    Runtime: host.runtime,
    LogConfig: logConfig && { Type: logConfig.driver, Config: logConfig.options ?? {} },
    PortBindings: host.portBindings && encodePorts(host.portBindings),
    RestartPolicy: restartPolicy && { Name: restartPolicy },
    Dns: host.dns,
    DnsSearch: host.dnsSearch,
    DnsOptions: host.dnsOptions,
    ExtraHosts: host.extraHosts,
  });
}

function encodeMount(mount: DockerMount, version: ApiVersion): object {
  if (mount.type === "image") mustHave(version, [1, 48], "image mounts");
  if (mount.readonlyForceRecursive === true) mustHave(version, [1, 44], "recursive read-only mounts");
  if (mount.createMountpoint === true) mustHave(version, [1, 42], "making the source of a bind mount");
  const bind = present({
    Propagation: mount.propagation,
    // Before API 1.44 no read-only mount was recursive: omitting the field means the same.
    ReadOnlyNonRecursive: isOlder(version, [1, 44]) ? undefined : mount.readonlyNonRecursive,
    ReadOnlyForceRecursive: mount.readonlyForceRecursive,
    CreateMountpoint: mount.createMountpoint,
  });
  return present({
    Type: mount.type,
    // A tmpfs has none, and Docker refuses one that does.
    Source: mount.source === "" ? undefined : mount.source,
    Target: mount.target,
    ReadOnly: mount.readonly,
    BindOptions: mount.type === "bind" && Object.keys(bind).length > 0 ? bind : undefined,
    ImageOptions:
      mount.type === "image" && mount.imageSubpath !== undefined
        ? { Subpath: mount.imageSubpath }
        : undefined,
  });
}

function encodePorts(bindings: readonly DockerPortBinding[]): object {
  const ports = new Map<string, object[]>();
  for (const { containerPort, protocol, hostPort, hostIp } of bindings) {
    const key = `${containerPort}/${protocol}`;
    const known = ports.get(key) ?? [];
    ports.set(key, known);
    known.push({ HostIp: hostIp ?? "", HostPort: String(hostPort) });
  }
  return Object.fromEntries(ports);
}

function mustHave(version: ApiVersion, needed: ApiVersion, what: string): void {
  if (!isOlder(version, needed)) return;
  const operation = "containers.create";
  throw new ShimError(
    "unsupported",
    `${operation}: ${what} need Docker API ${formatApiVersion(needed)}, but ${formatApiVersion(version)} is in use; ` +
      "upgrade Docker, or do not use them",
    { operation },
  );
}
