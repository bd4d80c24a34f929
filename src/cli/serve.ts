import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { isKind, messageOf, ShimError, sleep, type Logger } from "../base/index.js";
import { createShim, type Shim } from "../composition/index.js";
import type { Environment, ServeConfig } from "../config/index.js";
import { exitCodes } from "./exit.js";
import { checkListen, endpointsOf, followCertificates, listen } from "./listen.js";
import { notifySystemd } from "./notify.js";
import { awaitEndSignal } from "./signals.js";
import { version } from "./version.js";

/** How often it is logged that Docker does not answer, and the delay before a retry. */
const silenceMs = 30_000;
const retryMs = 5_000;

/**
 * Serves CRI until a signal ends it. The sockets are created before Docker has answered, so that a kubelet that starts
 * first can connect: calls that need Docker get UNAVAILABLE until then.
 * @param notes Notes about the flags, to be logged.
 * @returns The exit code.
 * @throws ShimError when the configuration is wrong or a socket cannot be made.
 */
export async function serve(
  { listen: where, ...config }: ServeConfig,
  notes: readonly string[],
  environment: Environment,
): Promise<number> {
  keepHeapSmall();
  // Before the shim connects to Docker: two shims on one Docker would undo each other's work.
  for (const endpoint of endpointsOf(where)) await checkListen(endpoint, where);
  if (config.engine.kind === "docker") await makeRootDirectory(config.rootDirectory);
  await using shim = await createShim(config);
  const { log } = shim;
  using end = awaitEndSignal((signal) => {
    log.fatal({ signal }, "second signal: exiting at once");
  });
  for (const note of notes) log.warn(note);
  reportStrayRejections(log);
  const streaming = await shim.streaming.listen();
  const metrics = await shim.metrics?.listen();
  const servers = await listen(shim, where);
  using _certificates = followCertificates(servers, where, log);
  try {
    const endpoints = servers.map((server) => server.address);
    log.info({ version: version(), endpoints, streaming, metrics, engine: config.engine }, "serving CRI");
    await notifySystemd(["READY=1", `STATUS=serving CRI on ${endpoints.join(", ")}`], environment, log);
    using _ = followDocker(shim);
    await aborted(end.signal);
    log.info({ signal: end.signal.reason as string }, "closing");
    await notifySystemd(["STOPPING=1"], environment, log);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
  return exitCodes.ok;
}

/** @throws ShimError "failed-precondition": without it every pod would fail. */
async function makeRootDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o755 });
  } catch (cause) {
    const text = `cannot create the root directory ${path}: ${messageOf(cause)}; run as root, or set another with --root-directory`;
    throw new ShimError("failed-precondition", text, { cause });
  }
}

/**
 * Makes V8 collect garbage early, keep its young generation small, and return memory when idle. By default a heap of
 * 25 MiB grows to 100 MiB before a collection, and the node's memory is for pods. Collecting so small a young
 * generation takes one thread 0.3 ms; with helper threads, which have to wait for a core on a busy node, it can take
 * 10 ms. Not set in an embedder's process.
 * @see Node, v8.setFlagsFromString; V8 reads these flags at each collection
 */
function keepHeapSmall(): void {
  setFlagsFromString("--optimize-for-size");
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--no-parallel-scavenge");
}

/**
 * Lets streams allocate. V8 counts memory outside its heap, such as the chunks of a stream, as growth of the heap: with a
 * small heap a session would cause a full collection every 25 MB. One now begins at four times the usual growth. Called
 * after the start, whose garbage is to be collected first.
 */
function allowForStreams(): void {
  setFlagsFromString("--incremental-marking-hard-trigger=400");
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/** Logs when Docker has answered, and periodically while it has not. */
function followDocker(shim: Shim): Disposable {
  const over = new AbortController();
  void sayWhenReady(shim, over.signal);
  return {
    [Symbol.dispose]: () => {
      over.abort();
    },
  };
}

async function sayWhenReady(shim: Shim, signal: AbortSignal): Promise<void> {
  for (;;) {
    const failure = await shim.start({ deadlineMs: silenceMs, signal }).then(() => undefined, asError);
    if (signal.aborted) return;
    if (!failure) {
      allowForStreams();
      shim.log.info("read Docker's state: all calls are served");
      return;
    }
    shim.log.warn(
      { reason: failure.message },
      "Docker does not answer, so calls fail with UNAVAILABLE: check `systemctl status docker` and `docker-cri doctor`",
    );
    if (!isKind(failure, "deadline-exceeded")) await sleep(retryMs, signal).catch(() => undefined);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** An unhandled rejection is a bug, but the node must not lose its runtime because of it. */
function reportStrayRejections(log: Logger): void {
  process.on("unhandledRejection", (error) => {
    log.error({ err: error }, "unhandled error: please report this as a bug");
  });
}
