import type { Duplex } from "node:stream";
import { messageOf, onAbort, ShimError, sleep } from "../../../base/index.js";
import { bytePipe, type Pipe } from "../pipe.js";
import type { Process } from "../processes/process.js";
import { requireSignal } from "../processes/signals.js";
import { findProgram } from "../programs/image-programs.js";
import type { ContainerProcess, Program, ProgramOutput } from "../programs/program.js";
import { inputFrom, outputOf } from "../programs/streams.js";
import { Terminal } from "../terminal.js";
import type { Container } from "./container.js";

type StreamName = "stdout" | "stderr";

/** The inputs of a launch. */
export interface LaunchPlan {
  readonly process: Process;
  readonly program: Program;
  readonly args: readonly string[];
  readonly tty: boolean;
  /** Its number inside the container. */
  readonly pid: number;
  /** Receives the output; resolves when the process may write more. */
  readonly output: (stream: StreamName, data: Uint8Array) => Promise<void>;
}

/** A process that is ready to run, and its input. */
export interface Launched {
  readonly stdin: Pipe<Uint8Array>;
  readonly terminal: Terminal | undefined;
  /** Runs the program. */
  begin(): void;
}

/**
 * Finds the program that a command runs in a container.
 * @throws ShimError "invalid-argument" when there is no such program, as Docker does at start.
 */
export function requireProgram(container: Container, args: readonly string[], operation: string): Program {
  const [name = ""] = args;
  const program = findProgram(container.image.programs, name);
  if (program) return program;
  const why = name.includes("/") ? "no such file or directory" : "executable file not found in $PATH";
  const image = container.config.image ?? "the image";
  throw new ShimError(
    "invalid-argument",
    `${operation}: cannot run ${JSON.stringify(name)}: ${why}; name a program that ${image} has`,
    { operation },
  );
}

/** Prepares a process to run its program. */
export function launch(container: Container, plan: LaunchPlan): Launched {
  const { process, program } = plan;
  const stdin = bytePipe();
  const output = (put: (data: Uint8Array) => Promise<void>) =>
    outputOf(process.signal, async (data) => {
      if (data.length > 0) await put(data);
      await process.runnable();
    });
  const terminal = plan.tty
    ? new Terminal(
        (data) => plan.output("stdout", data),
        stdin,
        (signal) => process.send(signal),
      )
    : undefined;
  const screen = terminal && output((data) => terminal.show(data));
  const io = containerProcess(container, plan, {
    stdin: inputFrom(stdin),
    stdout: screen ?? output((data) => plan.output("stdout", data)),
    stderr: screen ?? output((data) => plan.output("stderr", data)),
    terminalSize: () => terminal?.size,
  });
  const begin = () => {
    void runToEnd(process, program, io);
  };
  process.signal.addEventListener(
    "abort",
    () => {
      stdin.cancel();
    },
    { once: true },
  );
  return { stdin, terminal, begin };
}

async function runToEnd(process: Process, program: Program, io: ContainerProcess): Promise<void> {
  await orFail(process, io.stderr, async () => {
    process.finish(((await program(io)) ?? 0) & 255);
  });
}

/** Runs code of a program. An error prints a line on stderr and ends the process with 1. */
async function orFail(process: Process, stderr: ProgramOutput, run: () => unknown): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!process.alive) return;
    await stderr.write(`${process.name}: ${messageOf(error)}\n`).catch(() => undefined);
    process.finish(1);
  }
}

function containerProcess(
  container: Container,
  { process, args, tty, pid }: LaunchPlan,
  streams: Pick<ContainerProcess, "stdin" | "stdout" | "stderr" | "terminalSize">,
): ContainerProcess {
  const { config } = container;
  return {
    ...streams,
    args,
    env: process.environment,
    workingDir: config.workingDir || "/",
    user: config.user ?? "",
    hostname: config.hostname ?? "",
    pid,
    tty,
    files: container.files,
    signal: process.signal,
    sleep: (ms) => sleepIn(process, ms),
    onSignal: (name, handler) => {
      const signal = requireSignal(name, "onSignal");
      if (handler) process.handle(signal, () => void orFail(process, streams.stderr, handler));
      else process.unhandle(signal);
    },
    exit: (code) => {
      process.finish(code & 255);
    },
    listen: (port, onConnection) =>
      listen(process, port, (connection) => {
        void orFail(process, streams.stderr, () => onConnection(connection));
      }),
  };
}

function listen(process: Process, port: number, onConnection: (connection: Duplex) => void): () => void {
  const { network } = process;
  if (!network) throw new Error("the process has no network");
  const connections = new Set<Duplex>();
  const close = network.listen(port, (connection) => {
    connections.add(connection);
    connection.once("close", () => connections.delete(connection)).on("error", () => undefined);
    onConnection(connection);
  });
  onAbort(process.signal, () => {
    close();
    for (const connection of connections) connection.destroy();
  });
  return close;
}

const longestTimerMs = 2 ** 31 - 1;

async function sleepIn(process: Process, ms: number): Promise<void> {
  let left = ms;
  do {
    await sleep(Math.min(left, longestTimerMs), process.signal);
    left -= longestTimerMs;
  } while (left > 0);
  await process.runnable();
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The environment of a process: of duplicate names the last one counts. @param more Overrides the container's. */
export function environmentOf({ config }: Container, more: readonly string[] = []): Record<string, string> {
  const env = new Map([
    ["PATH", defaultPath],
    ["HOSTNAME", config.hostname ?? ""],
  ]);
  if (config.tty) env.set("TERM", "xterm");
  for (const pair of [...(config.env ?? []), ...more]) {
    const at = pair.indexOf("=");
    if (at > 0) env.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return Object.fromEntries(env);
}
