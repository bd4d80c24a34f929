import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { plainEnvironment, root } from "./stage.js";

/** How long a server may take to listen. */
const startMs = 60_000;

/** A `docker-cri serve` that runs in a process of its own. */
export interface Serving extends AsyncDisposable {
  /** The lines that it logged, as pino writes them. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** All that it printed on standard error. */
  readonly text: () => string;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Waits for a line with a message. @throws Error when the process ends first. */
  said(message: string): Promise<Readonly<Record<string, unknown>>>;
  signal(name: NodeJS.Signals): void;
}

export interface ServingOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A listening socket's file descriptor, handed over as systemd does. */
  readonly socketFd?: number;
}

/** Starts `serve` of a built program with flags. */
export function startServe(file: string, flags: readonly string[], options: ServingOptions = {}): Serving {
  const program = [process.execPath, file, "serve", ...flags];
  // systemd tells the process its own id, which is known only once there is a process.
  const activated = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", ...program];
  const [first = "", ...args] = options.socketFd === undefined ? program : activated;
  const child = spawn(first, args, {
    cwd: root,
    env: { ...plainEnvironment(), ...options.env },
    stdio: ["ignore", "ignore", "pipe", ...(options.socketFd === undefined ? [] : [options.socketFd])],
  });
  let text = "";
  const lines: Record<string, unknown>[] = [];
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    const began = text.lastIndexOf("\n") + 1;
    text += chunk;
    const whole = text.slice(began, text.lastIndexOf("\n") + 1).split("\n");
    for (const line of whole)
      if (line.startsWith("{")) lines.push(JSON.parse(line) as Record<string, unknown>);
  });
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  let over = false;
  void ended.then(() => (over = true));
  return {
    lines,
    text: () => text,
    ended,
    async said(message) {
      const deadline = Date.now() + startMs;
      for (;;) {
        const line = lines.find(({ msg }) => msg === message);
        if (line) return line;
        if (over || Date.now() > deadline) throw new Error(`"${message}" was never said:\n${text}`);
        await sleep(20);
      }
    },
    signal: (name) => child.kill(name),
    async [Symbol.asyncDispose]() {
      if (!over) child.kill("SIGKILL");
      await ended;
    },
  };
}
