import { present } from "../../../base/index.js";
import type {
  DockerImage,
  DockerImageConfig,
  DockerImageHistory,
  DockerImageSummary,
  PullProgress,
} from "../../../docker/index.js";
import { DaemonError, Malformed } from "../failures.js";
import {
  fields,
  mustBeList,
  mustBeObject,
  number,
  object,
  positive,
  text,
  textMap,
  texts,
  type Json,
} from "./json.js";

/** @see Docker API GET /images/json */
export function decodeImageList(json: unknown): DockerImageSummary[] {
  return mustBeList(json, "the image list").map((each) => {
    const image = mustBeObject(each, "an image of the list");
    return present({
      id: imageId(image, "an image of the list"),
      ...namesOf(image),
      sizeBytes: counted(image["Size"]),
      sharedSizeBytes: counted(image["SharedSize"]),
      createdAtSeconds: positive(image["Created"]),
      labels: textMap(image["Labels"]) ?? {},
    });
  });
}

/** @see Docker API GET /images/{name}/json */
export function decodeImage(json: unknown): DockerImage {
  const image = mustBeObject(json, "the image");
  return present({
    id: imageId(image, "the image"),
    ...namesOf(image),
    sizeBytes: counted(image["Size"]),
    createdAt: text(image["Created"]),
    author: text(image["Author"]),
    architecture: text(image["Architecture"]),
    os: text(image["Os"]),
    config: decodeImageConfig(fields(image["Config"])),
    layers: texts(fields(image["RootFS"])["Layers"]) ?? [],
  });
}

/** @see Docker API GET /images/{name}/history */
export function decodeHistory(json: unknown): DockerImageHistory[] {
  return mustBeList(json, "the history").map((each) => {
    const step = mustBeObject(each, "a step of the history");
    return present({
      createdAtSeconds: positive(step["Created"]),
      createdBy: text(step["CreatedBy"]),
      comment: text(step["Comment"]),
      sizeBytes: counted(step["Size"]),
    });
  });
}

/**
 * One message of a pull; undefined for messages without progress.
 * @throws DaemonError for the message of a failed pull.
 * @see Docker API POST /images/create
 */
export function decodeProgress(json: unknown): PullProgress | undefined {
  const message = mustBeObject(json, "a message of the pull");
  const error = text(fields(message["errorDetail"])["message"]) ?? text(message["error"]);
  if (error !== undefined) throw new DaemonError(error);
  if (object(message["errorDetail"]) !== undefined) throw new DaemonError("(Docker gave no reason)");
  const status = text(message["status"]);
  if (status === undefined) return undefined;
  const detail = fields(message["progressDetail"]);
  return present({
    status,
    layer: text(message["id"]),
    currentBytes: number(detail["current"]),
    totalBytes: positive(detail["total"]),
  });
}

function decodeImageConfig(config: Json): DockerImageConfig {
  const ports = object(config["ExposedPorts"]);
  const volumes = object(config["Volumes"]);
  return present({
    user: text(config["User"]),
    entrypoint: texts(config["Entrypoint"]),
    command: texts(config["Cmd"]),
    env: texts(config["Env"]),
    workingDir: text(config["WorkingDir"]),
    labels: textMap(config["Labels"]),
    exposedPorts: ports === undefined ? undefined : Object.keys(ports),
    volumes: volumes === undefined ? undefined : Object.keys(volumes),
    stopSignal: text(config["StopSignal"]),
  });
}

function imageId(image: Json, what: string): string {
  const id = text(image["Id"]);
  if (id === undefined) throw new Malformed(`${what} has no id`);
  return id;
}

/** With containerd's image store Docker puts an image that was pulled by digest among the tags, too. */
function namesOf(image: Json): { repoTags: string[]; repoDigests: string[] } {
  const tags = named(image["RepoTags"]);
  const isDigest = (name: string) => name.includes("@");
  const digests = [...named(image["RepoDigests"]), ...tags.filter(isDigest)];
  return { repoTags: tags.filter((name) => !isDigest(name)), repoDigests: [...new Set(digests)] };
}

/** Docker writes `<none>` for no name. */
function named(value: unknown): string[] {
  return (texts(value) ?? []).filter((name) => name !== "" && !name.includes("<none>"));
}

/** Docker writes -1 for a number that it did not count. */
function counted(value: unknown): number | undefined {
  const known = number(value);
  return known !== undefined && known >= 0 ? known : undefined;
}
