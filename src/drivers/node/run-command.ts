import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { abortError, codeOf, settlesWithin, ShimError, withDeadline } from "../../base/index.js";
import type { HostCommand, HostCommandResult } from "../../host/index.js";
import { killWhere } from "./kill-tree.js";

const defaultMaxOutputBytes = 16 * 1024 * 1024;

/** After the exit of the program its output counts as complete when the pipes were silent for this long … */
const quietMs = 200;
/** … or after this long, if a child process keeps writing. */
const lingerMs = 1_000;

/** How long to wait until a killed process has ended; one in an uninterruptible sleep does not end. */
const deathMs = 2_000;

/** The variable that marks one run in the environment of the program and its children. */
const runVariable = "DOCKER_CRI_RUN";

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** @see HostProcesses.run */
export async function runCommand(command: HostCommand): Promise<HostCommandResult> {
  const operation = `run ${command.file}`;
  if (command.signal?.aborted) throw abortError(operation, command.signal.reason);
  const run = randomUUID();
  const child = spawn(command.file, [...command.args], {
    env: { ...command.env, [runVariable]: run },
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const failure = new Failure();
  const stdout = collect(child.stdout, "standard output", command, failure);
  const stderr = collect(child.stderr, "standard error", command, failure);
  // If the program does not read its input, only its exit code counts.
  child.stdin.on("error", () => undefined);
  child.stdin.end(command.input);
  const exit = exitOf(child);
  try {
    const timeoutText = `${operation}: still running after ${command.deadlineMs} ms, killed`;
    const { code, signal } = await withDeadline(operation, { ...command, timeoutText }, () =>
      Promise.race([untilQuiet(child, exit, [stdout, stderr]), failure.thrown]),
    );
    const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
    return { exitCode, stdout: stdout.bytes(), stderr: stderr.bytes() };
  } catch (error) {
    if (codeOf(error) === "ENOENT") throw noSuchProgram(command, operation, error);
    await end(child, exit, run);
    throw error;
  } finally {
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** Ends a run early, because of its output. */
class Failure {
  readonly thrown: Promise<never>;
  private reject: (error: ShimError) => void = () => undefined;

  constructor() {
    this.thrown = new Promise<never>((_, reject) => {
      this.reject = reject;
    });
    this.thrown.catch(() => undefined);
  }

  throw(error: ShimError): void {
    this.reject(error);
  }
}

interface Output {
  bytes(): Buffer;
  /** When the last piece came, in milliseconds since the process began. */
  lastAtMs(): number;
}

function collect(stream: Readable, name: string, command: HostCommand, failure: Failure): Output {
  const limit = command.maxOutputBytes ?? defaultMaxOutputBytes;
  const chunks: Buffer[] = [];
  let size = 0;
  let lastAtMs = 0;
  stream.on("data", (chunk: Buffer) => {
    lastAtMs = performance.now();
    size += chunk.length;
    if (size <= limit) {
      chunks.push(chunk);
      return;
    }
    stream.destroy();
    failure.throw(
      new ShimError(
        "resource-exhausted",
        `run ${command.file}: more than ${limit} bytes on its ${name}, killed`,
        { operation: `run ${command.file}` },
      ),
    );
  });
  stream.on("error", () => undefined);
  return { bytes: () => Buffer.concat(chunks), lastAtMs: () => lastAtMs };
}

function exitOf(child: ChildProcess): Promise<Exit> {
  const exit = new Promise<Exit>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      resolve({ code, signal });
    });
  });
  exit.catch(() => undefined);
  return exit;
}

/**
 * Resolves once the program has exited and its output is complete. It does not wait for the end of the pipes, which a
 * child process may keep open for ever.
 */
async function untilQuiet(
  child: ChildProcess,
  exit: Promise<Exit>,
  outputs: readonly Output[],
): Promise<Exit> {
  const closed = new Promise<void>((resolve) => child.once("close", resolve));
  const result = await exit;
  const exitedAtMs = performance.now();
  let quiet: NodeJS.Timeout | undefined;
  const silent = new Promise<void>((resolve) => {
    const look = () => {
      const now = performance.now();
      const silentMs = now - Math.max(exitedAtMs, ...outputs.map((output) => output.lastAtMs()));
      const leftMs = Math.min(quietMs - silentMs, exitedAtMs + lingerMs - now);
      if (leftMs <= 0) resolve();
      // The event loop polls the pipes after the timers, so pending output is read before the next check.
      else quiet = setTimeout(() => setImmediate(look), leftMs);
    };
    look();
  });
  await Promise.race([closed, silent]);
  clearTimeout(quiet);
  return result;
}

/** Kills the program and its descendants, and waits for its end for a limited time. */
async function end(child: ChildProcess, exit: Promise<Exit>, run: string): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  // Killing the group is not enough: a descendant may have its own session, and process 1 as its parent.
  const root = child.exitCode === null && child.signalCode === null ? pid : undefined;
  await killWhere((environment) => environment.get(runVariable) === run, root).catch(() => 0);
  killGroup(pid);
  await settlesWithin(deathMs, exit);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // EPERM: the program runs as another user, so it cannot be killed.
    if (!["ESRCH", "EPERM"].includes(codeOf(error) ?? "")) throw error;
  }
}

function noSuchProgram(command: HostCommand, operation: string, cause: unknown): ShimError {
  const message = `${operation}: no such program, or its interpreter is missing: install it or correct the path`;
  return new ShimError("not-found", message, { operation, cause });
}
