import { parseRfc3339Nanos, present } from "../../../base/index.js";
import type {
  DockerContainer,
  DockerContainerConfig,
  DockerContainerState,
  DockerContainerSummary,
  DockerEndpoint,
  DockerMountPoint,
  DockerStateName,
} from "../../../docker/index.js";
import { decodeHostConfig } from "./host-config.js";
import {
  fields,
  flag,
  list,
  mustBeId,
  mustBeList,
  mustBeObject,
  number,
  object,
  oneOf,
  positive,
  text,
  textMap,
  texts,
  type Json,
} from "./json.js";

/** @see Docker API GET /containers/json */
export function decodeContainerList(json: unknown): DockerContainerSummary[] {
  return mustBeList(json, "the container list").map((each) => {
    const summary = mustBeObject(each, "a container of the list");
    return present({
      id: mustBeId(summary["Id"], "a container of the list"),
      names: (texts(summary["Names"]) ?? []).map(bareName).filter((name) => !name.includes("/")),
      image: text(summary["Image"]),
      imageId: text(summary["ImageID"]),
      labels: textMap(summary["Labels"]) ?? {},
      state: stateName(summary["State"]),
      createdAtSeconds: positive(summary["Created"]),
      mounts: list(summary["Mounts"]).flatMap(decodeMountPoint),
    });
  });
}

/** @see Docker API GET /containers/{id}/json */
export function decodeContainer(json: unknown): DockerContainer {
  const container = mustBeObject(json, "the container");
  const network = fields(container["NetworkSettings"]);
  return present({
    id: mustBeId(container["Id"], "the container"),
    name: bareName(text(container["Name"]) ?? ""),
    createdAtNanos: parseRfc3339Nanos(text(container["Created"])),
    imageId: text(container["Image"]),
    state: decodeState(fields(container["State"])),
    config: decodeConfig(fields(container["Config"])),
    host: decodeHostConfig(fields(container["HostConfig"])),
    mounts: list(container["Mounts"]).flatMap(decodeMountPoint),
    networks: Object.entries(fields(network["Networks"])).flatMap(decodeEndpoint),
    networkNamespacePath: text(network["SandboxKey"]),
    upperDirectory: text(fields(fields(container["GraphDriver"])["Data"])["UpperDir"]),
    logPath: text(container["LogPath"]),
    resolvConfPath: text(container["ResolvConfPath"]),
    restartCount: number(container["RestartCount"]),
    execIds: texts(container["ExecIDs"]) ?? [],
  });
}

/** @see Docker API POST /containers/create */
export function decodeCreated(json: unknown): { id: string; warnings: string[] } {
  const created = mustBeObject(json, "the answer");
  return { id: mustBeId(created["Id"], "the new container"), warnings: texts(created["Warnings"]) ?? [] };
}

function decodeState(state: Json): DockerContainerState {
  const running = flag(state["Running"]) ?? false;
  return present({
    status: stateName(state["Status"]),
    running,
    paused: flag(state["Paused"]) ?? false,
    oomKilled: flag(state["OOMKilled"]) ?? false,
    dead: flag(state["Dead"]) ?? false,
    pid: positive(state["Pid"]),
    exitCode: number(state["ExitCode"]),
    error: text(state["Error"]),
    startedAtNanos: parseRfc3339Nanos(text(state["StartedAt"])),
    finishedAtNanos: parseRfc3339Nanos(text(state["FinishedAt"])),
  });
}

function decodeConfig(config: Json): DockerContainerConfig {
  const exposed = object(config["ExposedPorts"]);
  const healthcheck = texts(fields(config["Healthcheck"])["Test"]);
  return present({
    image: text(config["Image"]),
    hostname: text(config["Hostname"]),
    domainname: text(config["Domainname"]),
    user: text(config["User"]),
    entrypoint: texts(config["Entrypoint"]),
    command: texts(config["Cmd"]),
    env: texts(config["Env"]),
    workingDir: text(config["WorkingDir"]),
    labels: textMap(config["Labels"]),
    tty: flag(config["Tty"]),
    openStdin: flag(config["OpenStdin"]),
    stdinOnce: flag(config["StdinOnce"]),
    stopSignal: text(config["StopSignal"]),
    exposedPorts: exposed === undefined ? undefined : Object.keys(exposed),
    healthcheckDisabled: healthcheck === undefined ? undefined : healthcheck[0] === "NONE",
  });
}

function decodeMountPoint(json: unknown): DockerMountPoint[] {
  const mount = fields(json);
  const target = text(mount["Destination"]);
  if (target === undefined) return [];
  return [
    present({
      type: text(mount["Type"]),
      source: text(mount["Source"]),
      target,
      writable: flag(mount["RW"]) ?? false,
      propagation: text(mount["Propagation"]),
    }),
  ];
}

function decodeEndpoint([network, json]: [string, unknown]): DockerEndpoint[] {
  const endpoint = object(json);
  if (endpoint === undefined) return [];
  return [present({ network, ipv4: text(endpoint["IPAddress"]), ipv6: text(endpoint["GlobalIPv6Address"]) })];
}

function stateName(value: unknown): DockerStateName | undefined {
  return oneOf(value, "created", "running", "paused", "restarting", "removing", "exited", "dead");
}

function bareName(name: string): string {
  return name.startsWith("/") ? name.slice(1) : name;
}
