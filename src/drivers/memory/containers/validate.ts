import { ShimError } from "../../../base/index.js";
import type { DockerContainerConfig, DockerContainerSpec, DockerHostConfig } from "../../../docker/index.js";
import type { MemoryEngine } from "../engine.js";
import { signalNumber } from "../processes/signals.js";
import { checkMounts, requireApi } from "./mounts.js";
import { checkResources } from "./resources.js";

const operation = "containers.create";
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const logDrivers = ["json-file", "local", "none"];
const securityOptions = ["apparmor", "label", "no-new-privileges", "seccomp", "systempaths"];

/**
 * Validates a configuration as Docker does.
 * @throws ShimError "invalid-argument" for everything that Docker answers with 400.
 */
export function checkSpec(engine: MemoryEngine, spec: DockerContainerSpec): void {
  if (!namePattern.test(spec.name)) {
    refuse(`${JSON.stringify(spec.name)} is no container name: letters, digits, _ . and - are allowed`);
  }
  checkConfig(spec.config);
  checkNetwork(spec);
  checkNamespaces(engine, spec.host);
  checkSecurity(spec.host);
  if (spec.host.cdiDevices?.length) requireApi(engine, 44, "CDI devices");
  checkEngine(engine, spec.host);
  checkMounts(engine, spec.host);
  checkResources(spec.host.resources ?? {}, engine.settings, operation);
}

function refuse(why: string): never {
  throw new ShimError("invalid-argument", `${operation}: ${why}`, { operation });
}

function checkConfig(config: DockerContainerConfig): void {
  for (const pair of config.env ?? []) {
    if (pair === "" || pair.startsWith("=")) refuse(`${JSON.stringify(pair)} is no environment variable`);
  }
  if (config.workingDir !== undefined && config.workingDir !== "" && !config.workingDir.startsWith("/")) {
    refuse(`the working directory ${config.workingDir} is not an absolute path`);
  }
  if (config.stopSignal !== undefined && config.stopSignal !== "" && !signalNumber(config.stopSignal)) {
    refuse(`${config.stopSignal} is not a signal`);
  }
  for (const text of [...(config.command ?? []), ...(config.entrypoint ?? [])]) {
    if (text.includes("\0")) refuse("a command cannot hold a NUL byte");
  }
}

function checkNetwork({ config, host }: DockerContainerSpec): void {
  const mode = host.networkMode ?? "default";
  if (host.utsMode === "host" && config.hostname)
    refuse("a host name cannot be set in the host's UTS namespace");
  if (!mode.startsWith("container:")) return;
  if (config.hostname) refuse("a host name cannot be set in another container's network");
  if (host.dns?.length) refuse("DNS servers cannot be set in another container's network");
  if (host.extraHosts?.length) refuse("hosts cannot be added in another container's network");
  if (host.portBindings?.length) refuse("ports cannot be published in another container's network");
  if (config.exposedPorts?.length) refuse("ports cannot be exposed in another container's network");
}

function checkNamespaces(engine: MemoryEngine, host: DockerHostConfig): void {
  const ipc = host.ipcMode ?? "private";
  if (!["", "private", "shareable", "host", "none"].includes(ipc) && !/^container:./.test(ipc)) {
    refuse(`${JSON.stringify(ipc)} is no IPC mode`);
  }
  const pid = host.pidMode ?? "";
  if (!["", "host"].includes(pid) && !/^container:./.test(pid))
    refuse(`${JSON.stringify(pid)} is no PID mode`);
  if (!["", "host"].includes(host.utsMode ?? "")) refuse(`${JSON.stringify(host.utsMode)} is no UTS mode`);
  if (host.restartPolicy !== undefined && host.restartPolicy !== "no") {
    throw new ShimError("unsupported", `${operation}: this engine does not restart containers by itself`, {
      operation,
    });
  }
  for (const mode of [ipc, pid]) {
    const owner = mode.startsWith("container:") ? mode.slice("container:".length) : undefined;
    if (owner !== undefined && !engine.peek(owner)) refuse(`there is no container ${owner} to join`);
  }
}

function checkSecurity(host: DockerHostConfig): void {
  for (const option of host.securityOpt ?? []) {
    const [name = "", value] = option.split(/[=:]([^]*)/);
    if (!securityOptions.includes(name)) refuse(`${JSON.stringify(option)} is no security option`);
    if (name === "seccomp" && value !== "unconfined" && value !== "builtin" && !isJsonObject(value)) {
      refuse("the seccomp profile is not a JSON object");
    }
  }
  for (const capability of [...(host.capAdd ?? []), ...(host.capDrop ?? [])]) {
    if (!isCapability(capability)) refuse(`${JSON.stringify(capability)} is no capability`);
  }
}

function isJsonObject(text: string | undefined): boolean {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function checkEngine({ settings }: MemoryEngine, host: DockerHostConfig): void {
  if (host.runtime && !settings.runtimes.includes(host.runtime)) {
    refuse(`there is no runtime ${host.runtime}; the engine has ${settings.runtimes.join(", ")}`);
  }
  const parent = host.cgroupParent ?? "";
  if (settings.cgroupDriver === "systemd" && parent !== "" && !parent.endsWith(".slice")) {
    refuse(`with systemd a cgroup parent is a slice such as kubepods.slice, not ${parent}`);
  }
  const driver = host.logConfig?.driver ?? "json-file";
  if (!logDrivers.includes(driver))
    refuse(`there is no log driver ${driver}; there are ${logDrivers.join(", ")}`);
  if (host.cdiDevices?.length && settings.cdiSpecDirectories.length === 0) {
    refuse("CDI is not enabled on this engine");
  }
}

const capabilityNames = `
  AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH
  FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN
  NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT
  SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM`;

const capabilities = new Set(capabilityNames.trim().split(/\s+/));

/** Whether Docker knows a capability, with or without its prefix. */
function isCapability(name: string): boolean {
  const upper = name.toUpperCase();
  return upper === "ALL" || capabilities.has(upper.replace(/^CAP_/, ""));
}
