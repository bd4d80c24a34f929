import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ShimError, type ErrorKind } from "../../../../src/base/index.js";
import { NameConflict, RegistryUnavailable } from "../../../../src/docker/index.js";
import { NoCommonVersion } from "../../../../src/drivers/dockerode/api-version.js";
import {
  fromPull,
  fromStatus,
  fromThrown,
  isChangeOfEngine,
  type Asked,
} from "../../../../src/drivers/dockerode/errors.js";
import { DaemonError, Malformed, Truncated } from "../../../../src/drivers/dockerode/failures.js";

const endpoint = "unix:///run/d.sock";
const asked = (operation: string): Asked => ({ operation, request: "POST /x", endpoint });
const runc =
  "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process";

type StatusCase = readonly [operation: string, status: number, text: string, kind: ErrorKind, said?: RegExp];

const statuses: readonly StatusCase[] = [
  ["containers.inspect", 404, "No such container: abc", "not-found", /No such container: abc/],
  ["containers.inspect", 404, "page not found", "unsupported", /does not support that call/],
  ["containers.inspect", 400, "bad parameter", "invalid-argument"],
  ["containers.inspect", 401, "who are you", "unauthenticated"],
  ["containers.inspect", 403, "no", "permission-denied", /authorization plugin/],
  ["containers.inspect", 405, "", "unsupported"],
  ["containers.inspect", 429, "slow down", "resource-exhausted"],
  ["containers.inspect", 500, "something broke", "internal", /answered 500 to POST \/x: something broke/],
  ["containers.inspect", 501, "not here", "unsupported"],
  ["containers.inspect", 502, "<html>", "unavailable"],
  ["containers.inspect", 503, "starting", "unavailable"],
  ["containers.inspect", 504, "", "unavailable"],
  ["containers.inspect", 301, "", "internal"],
  ["containers.inspect", 500, "No such container: abc", "not-found"],
  ["containers.inspect", 500, "dial unix /run/containerd.sock: connect: connection refused", "unavailable"],
  ["containers.inspect", 500, "write unix @->/run/containerd.sock: write: broken pipe", "unavailable"],
  ["containers.inspect", 500, "context deadline exceeded", "unavailable"],
  [
    "containers.inspect",
    400,
    "client version 1.48 is too new. Maximum supported API version is 1.41",
    "unsupported",
  ],
  ["containers.create", 404, "No such image: nope:latest", "not-found", /No such image: nope:latest/],
  ["containers.create", 400, "Unknown runtime specified kata", "invalid-argument"],
  ["containers.create", 409, "Conflict. Something else", "conflict"],
  ["containers.create", 500, "Cannot mkdir: /etc/passwd is not a directory", "invalid-argument"],
  ["containers.create", 500, "write /x: no space left on device", "resource-exhausted", /free space/],
  ["containers.start", 304, "", "failed-precondition", /already running/],
  ["containers.start", 409, "container is marked for removal and cannot be started", "conflict"],
  [
    "containers.start",
    400,
    `${runc}: exec: "nope": executable file not found in $PATH: unknown`,
    "invalid-argument",
    /the command "nope" is not in the image; Docker answered 400/,
  ],
  [
    "containers.start",
    400,
    `${runc}: exec: "/nope": stat /nope: no such file or directory: unknown`,
    "invalid-argument",
    /the command "\/nope" is not in the image/,
  ],
  [
    "containers.start",
    500,
    `${runc}: exec: "/etc": permission denied: unknown`,
    "invalid-argument",
    /"\/etc" may not be executed/,
  ],
  [
    "containers.start",
    400,
    `${runc}: exec /x: exec format error`,
    "invalid-argument",
    /this machine's architecture/,
  ],
  [
    "containers.start",
    400,
    `${runc}: exec: "/etc": is a directory: unknown`,
    "invalid-argument",
    /is a directory;/,
  ],
  [
    "containers.start",
    500,
    "unable to find user joe: no matching entries in passwd file",
    "invalid-argument",
  ],
  [
    "containers.start",
    500,
    `${runc}: can't get final child's PID from pipe: EOF: unknown`,
    "failed-precondition",
    /set restrictOomScoreAdj/,
  ],
  ["containers.start", 500, "Bind for 0.0.0.0:80 failed: port is already allocated", "conflict"],
  ["containers.kill", 409, "Cannot kill container: abc: Container abc is not running", "failed-precondition"],
  ["containers.kill", 500, "Invalid signal: SIGNOPE", "invalid-argument"],
  ["containers.attach", 409, "container abc is not running", "conflict"],
  ["containers.remove", 409, "removal of container abc is already in progress", "conflict"],
  [
    "containers.update",
    409,
    "Memory limit should be smaller than already set memoryswap limit",
    "invalid-argument",
  ],
  ["containers.update", 500, "write cpu.cfs_quota_us: invalid argument: unknown", "invalid-argument"],
  ["containers.logs", 501, "configured logging driver does not support reading", "unsupported", /json-file/],
  [
    "containers.resolveMounts",
    500,
    `cannot access path /overlay/merged/${"x".repeat(1000)}: lstat /overlay/merged/x: file name too long`,
    "not-found",
  ],
  [
    "containers.resolveMounts",
    500,
    'error while resolving symlinks in combined path "/m/loop": EvalSymlinks: too many links',
    "not-found",
  ],
  ["containers.checkpoint", 404, "page not found", "failed-precondition", /CRIU/],
  ["containers.checkpoint", 500, "checkpoint failed: criu: executable file not found", "failed-precondition"],
  ["images.remove", 409, "image is being used by running container", "conflict"],
  ["images.remove", 500, "unrecognized image ID sha256:ab", "not-found"],
  ["images.inspect", 500, "unrecognized image ID sha256:ab", "internal"],
  ["images.pull", 404, "manifest for x:1 not found: manifest unknown: manifest unknown", "not-found"],
  ["images.tag", 500, "invalid reference format: repository name must be lowercase", "invalid-argument"],
  ["images.inspect", 500, "no such image: A:b: invalid reference format", "invalid-argument"],
  ["images.pull", 400, "invalid reference format", "invalid-argument"],
  ["images.pull", 500, "something new", "internal"],
];

describe("fromStatus", () => {
  for (const [operation, status, text, kind, said] of statuses)
    it(`${operation} ${status} ${text.slice(0, 60)} is ${kind}`, () => {
      const error = fromStatus(asked(operation), status, text);
      assert.equal(error.kind, kind);
      assert.equal(error.operation, operation);
      assert.ok(error.message.startsWith(`${operation}: `));
      if (text !== "") assert.ok(error.message.includes(text), error.message);
      if (said !== undefined) assert.match(error.message, said);
    });

  it("names the holder of a name that is taken", () => {
    const holder = "ab".repeat(32);
    const text = `Conflict. The container name "/k8s_x" is already in use by container "${holder}". You have to remove`;
    const error = fromStatus(asked("containers.create"), 409, text);
    assert.equal(error.kind, "already-exists");
    assert.ok(error.cause instanceof NameConflict);
    assert.equal(error.cause.containerName, "k8s_x");
    assert.equal(error.cause.holderId, holder);
  });

  it("keeps the conflict when Docker does not name the holder", () => {
    const text = 'The container name "/x" is already in use by something';
    const { cause } = fromStatus(asked("containers.create"), 409, text);
    assert.ok(cause instanceof NameConflict);
    assert.equal(cause.holderId, undefined);
  });

  it("does not repeat a book", () => {
    const error = fromStatus(asked("containers.inspect"), 500, "x".repeat(1_000_000));
    assert.ok(error.message.length < 2200);
  });
});

const pulls: readonly (readonly [text: string, kind: ErrorKind])[] = [
  ["manifest for 127.0.0.1:5000/x:1 not found: manifest unknown: manifest unknown", "not-found"],
  [
    "pull access denied for nope, repository does not exist or may require 'docker login': denied",
    "not-found",
  ],
  ["no matching manifest for linux/arm64/v8 in the manifest list entries", "not-found"],
  ['Head "https://r.example/v2/x/manifests/1": no basic auth credentials', "unauthenticated"],
  ['Get "https://r.example/v2/": unauthorized: authentication required', "unauthenticated"],
  ["denied: requested access to the resource is denied", "unauthenticated"],
  [
    "unexpected status from HEAD request to https://r.example/v2/x/manifests/1: 401 Unauthorized",
    "unauthenticated",
  ],
  ["received unexpected HTTP status: 503 Service Unavailable", "unavailable"],
  ["unexpected status from HEAD request to http://r.example/v2/x: 500 Internal Server Error", "unavailable"],
  ['Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', "unavailable"],
  ['Get "https://r.example/v2/": dial tcp: lookup r.example: no such host', "unavailable"],
  ['Get "https://r.example/v2/": net/http: TLS handshake timeout', "unavailable"],
  ['Get "https://r.example/v2/": x509: certificate signed by unknown authority', "unavailable"],
  ['Get "https://r.example/v2/": http: server gave HTTP response to HTTPS client', "unavailable"],
  ["unexpected EOF", "unavailable"],
  ["read tcp 10.0.0.1:40000->10.0.0.2:443: read: connection reset by peer", "unavailable"],
  ["write tcp 10.0.0.1:40000->10.0.0.2:443: write: broken pipe", "unavailable"],
  ['Get "https://r.example/v2/": http: server closed idle connection', "unavailable"],
  ["read tcp 10.0.0.1:40000->10.0.0.2:443: use of closed network connection", "unavailable"],
  ["toomanyrequests: You have reached your pull rate limit.", "resource-exhausted"],
  ["failed to register layer: write /x: no space left on device", "resource-exhausted"],
  ["manifest invalid: manifest invalid", "invalid-argument"],
  ["invalid character 'o' in literal null (expecting 'u')", "invalid-argument"],
  ["unexpected end of JSON input", "invalid-argument"],
  ["unable to fetch descriptor () which reports content size of zero: invalid argument", "invalid-argument"],
  [
    "error parsing HTTP 503 response body: invalid character '<' looking for beginning of value",
    "unavailable",
  ],
  ["invalid reference format: repository name must be lowercase", "invalid-argument"],
  ["unsupported media type application/x", "invalid-argument"],
  ["image verification failed for digest sha256:00", "invalid-argument"],
  [
    "commit failed: unexpected commit digest sha256:00, expected sha256:11: failed precondition",
    "invalid-argument",
  ],
  ["a text that nobody knows", "internal"],
  // Names are no errors.
  ["manifest for timeout:latest not found: manifest unknown: manifest unknown", "not-found"],
  ["manifest for unauthorized/denied:1 not found: manifest unknown", "not-found"],
  ['Get "https://unauthorized.example/v2/toomanyrequests": unexpected EOF', "unavailable"],
];

describe("fromPull", () => {
  for (const [text, kind] of pulls)
    it(`${kind}: ${text.slice(0, 70)}`, () => {
      const error = fromPull(asked("images.pull"), text);
      assert.equal(error.kind, kind);
      assert.ok(error.message.includes(text));
      assert.equal(fromThrown(asked("images.pull"), new DaemonError(text)).kind, kind, "out of the stream");
      assert.equal(fromStatus(asked("images.pull"), 500, text).kind, kind, "as an answer");
    });
});

describe("a pull that is unavailable", () => {
  it("names the registry as the cause only of the registry's failures", () => {
    const ofRegistry = fromPull(
      asked("images.pull"),
      "received unexpected HTTP status: 503 Service Unavailable",
    );
    assert.ok(ofRegistry.cause instanceof RegistryUnavailable);
    assert.match(ofRegistry.cause.message, /503 Service Unavailable/);
    const ofDocker = fromThrown(asked("images.pull"), withCode("ECONNREFUSED"));
    assert.equal(ofDocker.kind, "unavailable");
    assert.ok(!(ofDocker.cause instanceof RegistryUnavailable));
    const other = fromStatus(asked("images.inspect"), 500, "dial tcp: connection refused");
    assert.ok(!(other.cause instanceof RegistryUnavailable));
  });
});

const withCode = (code: string): Error => Object.assign(new Error(`call ${code}`), { code });

const connections: readonly (readonly [thrown: unknown, kind: ErrorKind, said: RegExp])[] = [
  [withCode("ENOENT"), "unavailable", /nothing answers .*unix:\/\/\/run\/d\.sock.*start Docker/],
  [withCode("ECONNREFUSED"), "unavailable", /start Docker/],
  [withCode("EACCES"), "permission-denied", /socket's group/],
  [withCode("ECONNRESET"), "unavailable", /was lost/],
  [withCode("EPIPE"), "unavailable", /was lost/],
  [withCode("ERR_STREAM_PREMATURE_CLOSE"), "unavailable", /was lost/],
  [withCode("ETIMEDOUT"), "unavailable", /cannot be reached/],
  [withCode("ENOTFOUND"), "unavailable", /cannot be reached/],
  [withCode("HPE_INVALID_CONSTANT"), "internal", /does not speak HTTP/],
  [withCode("HPE_HEADER_OVERFLOW"), "internal", /does not speak HTTP/],
  [new Malformed("it is not JSON"), "internal", /is not valid: it is not JSON/],
  [new Truncated("in a frame"), "unavailable", /broke off/],
  [new NoCommonVersion("it speaks API 1.60"), "unsupported", /it speaks API 1\.60/],
  [new DaemonError("No such container: x"), "not-found", /No such container/],
  [new TypeError("oops"), "internal", /oops/],
  ["a text", "internal", /a text/],
  [undefined, "internal", /undefined/],
];

describe("fromThrown", () => {
  for (const [thrown, kind, said] of connections)
    it(`${String(thrown)} is ${kind}`, () => {
      const error = fromThrown(asked("system.ping"), thrown);
      assert.equal(error.kind, kind);
      assert.match(error.message, said);
      assert.equal(error.operation, "system.ping");
    });

  it("leaves our own errors alone", () => {
    const error = new ShimError("cancelled", "gone");
    assert.equal(fromThrown(asked("system.ping"), error), error);
  });
});

describe("isChangeOfEngine", () => {
  it("is a lost connection or a refused version, and no answer", () => {
    assert.ok(isChangeOfEngine(fromThrown(asked("x"), withCode("ECONNRESET"))));
    assert.ok(isChangeOfEngine(fromStatus(asked("x"), 400, "client version 1.48 is too new.")));
    assert.ok(!isChangeOfEngine(fromStatus(asked("x"), 404, "No such container")));
  });
});
