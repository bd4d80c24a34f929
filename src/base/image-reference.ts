import { ShimError } from "./errors.js";

/** A parsed image name. Registry and repository are filled in, the tag is not. */
export interface ImageReference {
  /** `docker.io`, `registry.k8s.io`, `localhost:5000`. */
  readonly registry: string;
  /** `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  /** `sha256:` and 64 hex digits, or another algorithm's form. */
  readonly digest?: string;
}

const hubRegistry = "docker.io";
const hubAliases = new Set([hubRegistry, "index.docker.io"]);
const hubLibrary = "library/";

const registryPattern =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/;
const pathPartPattern = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^(?!sha256:)[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-f]{32,128}$/;
const sha256Pattern = /^sha256:[0-9a-f]{64}$/;
const longestName = 255;
const longestReference = 1024;

/** True for a full image id: `sha256:` and 64 hex digits, or the digits alone. */
export function isImageId(text: string): boolean {
  return /^(?:sha256:)?[0-9a-f]{64}$/.test(text);
}

/**
 * Parses a familiar or full image name: `busybox` is docker.io's library/busybox.
 * @throws ShimError "invalid-argument" with the reason; an image id is not a name.
 */
export function parseReference(text: string): ImageReference {
  const parsed = parse(text);
  if (typeof parsed !== "string") return parsed;
  const shown = JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
  throw new ShimError("invalid-argument", `${shown} is not a valid image name: ${parsed}`);
}

/**
 * The one full form of an image name, so that two spellings can be compared:
 * `registry/path@digest` where there is a digest (the tag is ignored then), else
 * `registry/path:tag` with `latest` filled in. Undefined when the text is not an image name; an id is not.
 */
export function normalizeReference(text: string): string | undefined {
  const parsed = parse(text);
  if (typeof parsed === "string") return undefined;
  const repository = `${parsed.registry}/${parsed.path}`;
  if (parsed.digest !== undefined) return `${repository}@${parsed.digest}`;
  return `${repository}:${parsed.tag ?? "latest"}`;
}

/** The repository as Docker shows it: without `docker.io/` and `library/`. */
export function familiarRepository({ registry, path }: ImageReference): string {
  if (registry !== hubRegistry) return `${registry}/${path}`;
  const short = path.startsWith(hubLibrary) ? path.slice(hubLibrary.length) : path;
  return short.includes("/") ? path : short;
}

/** The parts, or the reason why the text is not a name. */
function parse(text: string): ImageReference | string {
  if (text.length > longestReference) return `it is longer than ${longestReference} characters`;
  if (isImageId(text)) return "it is an image's id";
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !sha256Pattern.test(digest) && !digestPattern.test(digest)) {
    return "what follows the @ is not a digest, such as sha256: and 64 hex digits";
  }
  const tagged = at < 0 ? text : text.slice(0, at);
  const colon = tagged.lastIndexOf(":");
  const hasTag = colon > tagged.lastIndexOf("/");
  const tag = hasTag ? tagged.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) {
    return "a tag holds letters, digits, _, . and -, at most 128 of them";
  }
  const repository = parseRepository(hasTag ? tagged.slice(0, colon) : tagged);
  if (typeof repository === "string") return repository;
  return {
    ...repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

function parseRepository(name: string): { registry: string; path: string } | string {
  if (name === "") return "it has no repository";
  if (name.length > longestName) return `its repository is longer than ${longestName} characters`;
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  // As in Docker: the first part is a registry only if it cannot be a user of Docker Hub.
  const hasRegistry = first === "localhost" || /[.:A-Z]/.test(first);
  const rest = hasRegistry ? name.slice(slash + 1) : name;
  const registry = !hasRegistry || hubAliases.has(first) ? hubRegistry : first;
  if (!registryPattern.test(registry)) return "its registry is not a host name";
  if (!rest.split("/").every((part) => pathPartPattern.test(part))) {
    return "a repository is written in lower-case letters and digits, parted by . _ - or /";
  }
  return { registry, path: registry === hubRegistry && !rest.includes("/") ? hubLibrary + rest : rest };
}
