import type { MemoryNamespaceNetwork } from "../host/network.js";
import { harmlessSignals, SIGKILL } from "./signals.js";

/** The options of a process. */
export interface ProcessOptions {
  /** For messages and `/proc/PID/comm`. */
  readonly name: string;
  readonly parent?: Process | undefined;
  /** Its initial environment, which its children inherit. */
  readonly environment?: Readonly<Record<string, string>>;
  /** As the kernel treats the first process of a namespace: a signal without a handler does nothing. */
  readonly ignoresUnhandledSignals?: boolean;
}

/** Thrown in the code of a process after its end. */
export class ProcessEnded extends Error {
  override readonly name = "ProcessEnded";
}

/** A process that exists only as an entry: a pid, signal handlers, and an end. */
export class Process {
  readonly name: string;
  readonly parent: Process | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
  /** True: neither signals nor the end of its namespace end it, as with a process stuck in the kernel. */
  stuck = false;
  /** Its network. */
  network: MemoryNamespaceNetwork | undefined;

  private readonly controller = new AbortController();
  private readonly handlers = new Map<number, () => void>();
  private readonly ignoresUnhandled: boolean;
  private code: number | undefined;
  private resolveEnded: (code: number) => void = () => undefined;
  private frozen: { readonly thawed: Promise<void>; readonly thaw: () => void } | undefined;

  /** @param onEnd Called at once when it ends, before {@link ended} resolves. */
  constructor(
    readonly pid: number,
    options: ProcessOptions,
    private readonly onEnd: (code: number) => void,
  ) {
    this.name = options.name;
    this.parent = options.parent;
    this.environment = options.environment ?? options.parent?.environment ?? {};
    this.ignoresUnhandled = options.ignoresUnhandledSignals ?? false;
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
  }

  get alive(): boolean {
    return this.code === undefined;
  }

  /** 128 and the signal's number when a signal ended it; undefined while it lives. */
  get exitCode(): number | undefined {
    return this.code;
  }

  /** Aborts when the process ends. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Delivers a signal. @returns False when the process has ended. */
  send(signal: number): boolean {
    if (!this.alive) return false;
    if (this.stuck) return true;
    if (signal === SIGKILL) {
      this.finish(128 + signal);
      return true;
    }
    const handler = this.handlers.get(signal);
    if (handler) handler();
    else if (!harmlessSignals.has(signal) && !this.ignoresUnhandled) this.finish(128 + signal);
    return true;
  }

  /** Runs `handler` in place of a signal's default action; SIGKILL cannot be handled. */
  handle(signal: number, handler: () => void): void {
    this.handlers.set(signal, handler);
  }

  /** Removes a handler. */
  unhandle(signal: number): void {
    this.handlers.delete(signal);
  }

  /** Ends the process. Idempotent: the first code counts. */
  finish(code: number): void {
    if (this.code !== undefined) return;
    this.code = code;
    this.thaw();
    this.onEnd(code);
    this.controller.abort(new ProcessEnded(`process ${this.pid} (${this.name}) has ended`));
    this.resolveEnded(code);
  }

  /** Stops the process where it next writes or wakes up. */
  freeze(): void {
    if (this.frozen) return;
    let thaw: () => void = () => undefined;
    const thawed = new Promise<void>((resolve) => (thaw = resolve));
    this.frozen = { thawed, thaw };
  }

  thaw(): void {
    this.frozen?.thaw();
    this.frozen = undefined;
  }

  /** Resolves as soon as the process is not frozen. @throws ProcessEnded when it has ended. */
  async runnable(): Promise<void> {
    while (this.frozen) await this.frozen.thawed;
    this.signal.throwIfAborted();
  }
}
