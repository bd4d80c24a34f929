import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  endProcess,
  isAlive,
  logTail,
  processInfo,
  residentBytes,
  signal,
  startDaemon,
  ticksPerSecond,
  waitForExit,
  waitUntil,
  type Daemon,
} from "./processes.js";
import { claimRunFolder, noteProcess, sweep } from "./run-folder.js";

/** How to run a program beside the tests. */
export interface ServiceOptions {
  /** A word for log lines and folder names. */
  readonly name: string;
  readonly command: string;
  /** The arguments; a function is given the service's own folder. */
  readonly args: readonly string[] | ((folder: string) => readonly string[] | Promise<readonly string[]>);
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Whether it serves: asked until it does. Default: it has been started. */
  readonly ready?: (folder: string) => boolean | Promise<boolean>;
  /** How long it may take to serve. Default: 30 s. */
  readonly readyTimeoutMs?: number;
}

/**
 * Runs a program in a folder of its own until it is stopped, and waits until it serves.
 * @throws Error with the end of its log when it ends, or does not serve in time.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  await sweep();
  const { folder } = await claimRunFolder(options.name);
  const args = typeof options.args === "function" ? await options.args(folder) : options.args;
  const service = new Service(options, folder, args);
  try {
    await service.start();
  } catch (error) {
    await service.stop();
    throw error;
  }
  return service;
}

/** A program that runs beside the tests. */
export class Service implements AsyncDisposable {
  readonly name: string;
  readonly logPath: string;
  #daemon: Daemon | undefined;

  /** Use `startService`. */
  constructor(
    private readonly options: ServiceOptions,
    readonly folder: string,
    private readonly args: readonly string[],
  ) {
    this.name = options.name;
    this.logPath = join(folder, `${options.name}.log`);
  }

  /** Its process id, 0 while it is not running. */
  get pid(): number {
    return this.#daemon !== undefined && isAlive(this.#daemon) ? this.#daemon.pid : 0;
  }

  /** Starts it, or starts it again after `kill` or `shutDown`. @throws Error when it does not serve. */
  async start(): Promise<void> {
    if (this.pid !== 0) return;
    const { command, ready, readyTimeoutMs = 30_000, env, cwd } = this.options;
    const daemon = await startDaemon(command, this.args, {
      logPath: this.logPath,
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#daemon = daemon;
    await noteProcess(this.folder, daemon);
    const serves = await waitUntil(
      async () => !isAlive(daemon) || ready === undefined || (await ready(this.folder)),
      readyTimeoutMs,
      20,
    );
    if (!serves || !isAlive(daemon))
      throw new Error(`${this.name} does not serve: ${this.logPath}\n${await logTail(this.logPath)}`);
  }

  /** Seconds of CPU used since it was last started. */
  cpuSeconds(): number {
    return (processInfo(this.pid)?.cpuTicks ?? 0) / ticksPerSecond;
  }

  /** Resident memory in bytes. */
  async rssBytes(): Promise<number> {
    return await residentBytes(this.pid);
  }

  /** Sends a signal to it alone. */
  signal(name: NodeJS.Signals): void {
    if (this.#daemon !== undefined) signal(this.#daemon, name);
  }

  /** Ends it with SIGKILL. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    if (this.#daemon !== undefined) await waitForExit(this.#daemon, 10_000);
  }

  /** Ends it with SIGTERM, and with SIGKILL when that takes longer than `graceMs`. Its folder stays. */
  async shutDown(graceMs = 10_000): Promise<void> {
    if (this.#daemon !== undefined) await endProcess(this.#daemon, graceMs);
  }

  /** Ends it and removes its folder. May be called again. */
  async stop(): Promise<void> {
    await this.shutDown();
    await rm(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
