import { excerpt, messageOf, ShimError, type ErrorKind } from "../../base/index.js";
import { NameConflict, RegistryUnavailable } from "../../docker/index.js";
import { NoCommonVersion } from "./api-version.js";
import { DaemonError, Malformed, Truncated } from "./failures.js";

/** The request, for error texts. */
export interface Asked {
  /** The port's method. */
  readonly operation: string;
  /** Method and path, without query. */
  readonly request: string;
  /** As configured. */
  readonly endpoint: string;
}

/** One text of Docker's, its meaning, and what the operator can do. */
interface Rule {
  readonly operation?: string;
  readonly status?: number;
  readonly text?: RegExp;
  readonly kind: ErrorKind;
  readonly advice?: string;
  /** True: it is about the registry, not about Docker. */
  readonly ofRegistry?: true;
}

const commandCannotRun =
  /executable file not found|exec: "[^"]*": (?:permission denied|is a directory|stat |exec format error)|exec format error/i;

const clientVersionRefused = /client version \S+ is too (?:new|old)/i;

/** Texts with one meaning for every call and status, most specific first. */
const anywhere: readonly Rule[] = [
  { text: /^(?:.*: )?invalid (?:reference|tag) format/i, kind: "invalid-argument" },
  {
    text: /no space left on device|disk quota exceeded/i,
    kind: "resource-exhausted",
    advice: "free space where Docker keeps its data (docker info: Docker Root Dir)",
  },
  {
    text: clientVersionRefused,
    kind: "unsupported",
    advice: "Docker's version has changed: retry, the API version is negotiated again",
  },
];

const byCall: readonly Rule[] = [
  { operation: "containers.create", status: 409, text: /already in use by/i, kind: "already-exists" },
  {
    operation: "containers.start",
    status: 304,
    kind: "failed-precondition",
    advice: "the container is already running",
  },
  { operation: "containers.start", text: commandCannotRun, kind: "invalid-argument" },
  {
    operation: "containers.start",
    text: /unable to find (?:user|group)|no matching entries in (?:passwd|group) file|mount a directory onto a file/i,
    kind: "invalid-argument",
  },
  { operation: "containers.create", text: /is not a directory/i, kind: "invalid-argument" },
  {
    operation: "containers.start",
    text: /final child's pid from pipe|oom_score_adj/i,
    kind: "failed-precondition",
    advice:
      "if the container's oom_score_adj is below docker-cri's own, the node may not allow that: set restrictOomScoreAdj (--restrict-oom-score-adj)",
  },
  {
    operation: "containers.start",
    text: /port is already allocated|address already in use/i,
    kind: "conflict",
    advice: "another process on the node uses that port",
  },
  {
    operation: "containers.resolveMounts",
    text: /^cannot access path |^error while resolving symlinks /i,
    kind: "not-found",
  },
  { operation: "containers.kill", text: /is not running/i, kind: "failed-precondition" },
  { operation: "containers.kill", text: /invalid signal/i, kind: "invalid-argument" },
  {
    operation: "containers.update",
    text: /should be smaller than already set|invalid argument|numerical result out of range/i,
    kind: "invalid-argument",
  },
  // The answer of Docker 20.10 to one of two concurrent removals of an image.
  { operation: "images.remove", text: /unrecognized image ID/i, kind: "not-found" },
  {
    operation: "containers.checkpoint",
    text: /experimental|criu|page not found|not support/i,
    kind: "failed-precondition",
    advice: "checkpoints need CRIU on the node and dockerd with experimental features on",
  },
  {
    operation: "containers.logs",
    text: /does not support reading/i,
    kind: "unsupported",
    advice: "use the json-file or local log driver",
  },
];

const byStatus: readonly Rule[] = [
  {
    status: 404,
    text: /^(?:404 )?page not found$/i,
    kind: "unsupported",
    advice: "this engine, or a proxy in front of it, does not support that call",
  },
  { status: 400, kind: "invalid-argument" },
  { status: 401, kind: "unauthenticated" },
  {
    status: 403,
    kind: "permission-denied",
    advice: "an authorization plugin, or a proxy in front of Docker, refused it",
  },
  { status: 404, kind: "not-found" },
  { status: 405, kind: "unsupported" },
  { status: 409, kind: "conflict" },
  { status: 429, kind: "resource-exhausted" },
  { status: 501, kind: "unsupported" },
  { status: 502, kind: "unavailable" },
  { status: 503, kind: "unavailable" },
  { status: 504, kind: "unavailable" },
  { text: /no such (?:container|image|exec)/i, kind: "not-found" },
  {
    text: /connection (?:refused|reset)|broken pipe|i\/o timeout|context (?:canceled|deadline exceeded)|transport is closing|ttrpc: closed|error while dialing|shutting down|temporarily unavailable|too many open files|cannot allocate memory/i,
    kind: "unavailable",
    advice: "if this continues, check the logs of dockerd and containerd",
  },
];

/** Texts of registries that Docker passes on. Names and addresses are removed from a text first. */
const ofPulls: readonly Rule[] = [
  {
    text: /toomanyrequests|too many requests|rate limit|status:? 429/i,
    kind: "resource-exhausted",
    advice: "wait, or pull with credentials",
  },
  {
    text: /unauthorized|authentication required|no basic auth credentials|incorrect username or password|status:? 401/i,
    kind: "unauthenticated",
    advice: "check the pull secret or the node's Docker credentials",
  },
  {
    text: /x509|certificate|server gave http response to https client/i,
    kind: "unavailable",
    ofRegistry: true,
    advice: "check the registry's certificate, or dockerd's insecure-registries",
  },
  {
    text: /no such host|connection (?:refused|reset)|broken pipe|(?:idle|closed network) connection|timeout|timed out|network is unreachable|no route to host|server misbehaving|temporary failure|unexpected eof|: eof$|status(?: code)?:? 5\d\d|http 5\d\d|service unavailable|bad gateway|internal server error|context (?:canceled|deadline exceeded)|request canceled|download failed after attempts/i,
    kind: "unavailable",
    ofRegistry: true,
    advice: "check that the node can reach the registry",
  },
  {
    text: /manifest unknown|name unknown|no matching manifest|not found|does not exist|no such image|http 404/i,
    kind: "not-found",
  },
  {
    text: /denied|forbidden|status:? 403/i,
    kind: "unauthenticated",
    advice: "check the pull secret or the node's Docker credentials",
  },
  {
    text: /invalid reference|invalid repository|invalid tag|invalid checksum|invalid digest|manifest invalid|verification failed|unexpected commit (?:digest|size)|unsupported (?:media|manifest|schema|docker)|content size of zero|invalid character|unexpected end of json|cannot unmarshal|media ?type|missing signature key|cannot be pulled|operating system/i,
    kind: "invalid-argument",
  },
];

/** The error for an HTTP status and Docker's text. */
export function fromStatus(asked: Asked, status: number, whole: string): ShimError {
  const text = excerpt(whole);
  const rule = find(asked, status, text);
  const operation = asked.operation;
  const answer = `Docker answered ${status} to ${asked.request}${text === "" ? "" : `: ${text}`}`;
  const plain = rule?.kind === "invalid-argument" ? commandTrouble(text) : undefined;
  const message = [plain, answer, rule?.advice].filter((part) => part !== undefined).join("; ");
  const cause = rule && causeOf(rule, text);
  return new ShimError(rule?.kind ?? "internal", `${operation}: ${message}`, { operation, cause });
}

/** The error that a pull's progress stream reports. */
export function fromPull(asked: Asked, whole: string): ShimError {
  const { operation } = asked;
  const text = excerpt(whole);
  const rule = find(asked, 0, text);
  const advice = rule?.advice === undefined ? "" : `; ${rule.advice}`;
  const kind = rule?.kind ?? "internal";
  const cause = rule && causeOf(rule, text);
  const message = `${operation}: Docker could not pull: ${text}${advice}`;
  return new ShimError(kind, message, { operation, cause });
}

/** The error for a connection that could not be made, broke, or brought something that is not Docker's. */
export function fromThrown(asked: Asked, thrown: unknown): ShimError {
  if (thrown instanceof ShimError) return thrown;
  if (thrown instanceof DaemonError)
    return asked.operation === "images.pull"
      ? fromPull(asked, thrown.message)
      : fromStatus(asked, 500, thrown.message);
  if (thrown instanceof NoCommonVersion)
    return new ShimError(
      "unsupported",
      `${asked.operation}: Docker at ${asked.endpoint} is not compatible: ${excerpt(thrown.message)}; ` +
        "use Docker 20.10 or newer, or a docker-cri release that supports this engine",
      { operation: asked.operation },
    );
  const { kind, text } = connectionTrouble(asked.endpoint, thrown);
  const { operation } = asked;
  return new ShimError(kind, `${operation}: ${text} (asked: ${asked.request})`, { operation, cause: thrown });
}

/** True when the next answer may come from another engine, with another API version. */
export function isChangeOfEngine(error: ShimError): boolean {
  return clientVersionRefused.test(error.message) || codeOf(error.cause) !== undefined;
}

/** True for a connection that was fine until it was used. */
export function isBrokenConnection(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code === "ECONNRESET" || code === "EPIPE";
}

function find(asked: Asked, status: number, text: string): Rule | undefined {
  const matches = (bare: string) => (rule: Rule) =>
    (rule.operation === undefined || rule.operation === asked.operation) &&
    (rule.status === undefined || rule.status === status) &&
    (rule.text === undefined || rule.text.test(bare));
  const pulled = asked.operation === "images.pull" ? ofPulls.find(matches(withoutNames(text))) : undefined;
  return anywhere.find(matches(text)) ?? pulled ?? byCall.find(matches(text)) ?? byStatus.find(matches(text));
}

/** An image may be called "timeout" or "unauthorized": names must not decide about the kind. */
function withoutNames(text: string): string {
  return text
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\bhttps?:\/\/\S+/g, "URL")
    .replaceAll(/\bfor \S+/g, "for NAME")
    .replaceAll(/\S+/g, (word) => (/.[/@]./.test(word) ? "NAME" : word));
}

function commandTrouble(text: string): string | undefined {
  if (!commandCannotRun.test(text)) return undefined;
  const name = /exec: "([^"]*)"/.exec(text)?.[1];
  const command = name === undefined ? "the command" : `the command "${name}"`;
  if (/permission denied/i.test(text)) return `${command} may not be executed by the container's user`;
  if (/exec format error/i.test(text)) return `${command} is not a program for this machine's architecture`;
  if (/is a directory/i.test(text)) return `${command} is a directory`;
  return `${command} is not in the image`;
}

function causeOf(rule: Rule, text: string): Error | undefined {
  if (rule.ofRegistry) return new RegistryUnavailable(text);
  return rule.kind === "already-exists" ? nameConflict(text) : undefined;
}

function nameConflict(text: string): NameConflict | undefined {
  const name = /container name "\/?([^"]+)"/i.exec(text)?.[1];
  if (name === undefined) return undefined;
  return new NameConflict(name, /by container "?([0-9a-f]{12,64})"?/i.exec(text)?.[1]);
}

function connectionTrouble(endpoint: string, thrown: unknown): { kind: ErrorKind; text: string } {
  if (thrown instanceof Malformed)
    return {
      kind: "internal",
      text: `the answer of Docker at ${endpoint} is not valid: ${excerpt(thrown.message)}`,
    };
  if (thrown instanceof Truncated)
    return { kind: "unavailable", text: `Docker at ${endpoint} broke off its answer: ${thrown.message}` };
  const code = codeOf(thrown) ?? "";
  const reason = `(${code === "" ? excerpt(messageOf(thrown)) : code})`;
  if (code === "ENOENT" || code === "ECONNREFUSED")
    return {
      kind: "unavailable",
      text: `nothing answers at Docker's endpoint ${endpoint} ${reason}; start Docker, or set the endpoint where it listens`,
    };
  if (code === "EACCES" || code === "EPERM")
    return {
      kind: "permission-denied",
      text: `this user may not open Docker's endpoint ${endpoint} ${reason}; run as root or as a member of the socket's group`,
    };
  if (code.startsWith("HPE_"))
    return {
      kind: "internal",
      text: `the program that answers at ${endpoint} does not speak HTTP as Docker does ${reason}`,
    };
  if (passing.has(code))
    return { kind: "unavailable", text: `the connection to Docker at ${endpoint} was lost ${reason}` };
  if (unreachable.has(code))
    return { kind: "unavailable", text: `Docker's endpoint ${endpoint} cannot be reached ${reason}` };
  return { kind: "internal", text: `the call to Docker at ${endpoint} failed ${reason}` };
}

const passing = new Set([
  "ECONNRESET",
  "EPIPE",
  "ECONNABORTED",
  "ERR_STREAM_PREMATURE_CLOSE",
  "EMFILE",
  "ENFILE",
]);
const unreachable = new Set([
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOTSOCK",
  "EAGAIN",
]);

function codeOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  return typeof code === "string" ? code : undefined;
}
