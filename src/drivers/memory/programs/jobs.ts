import { signalNumber } from "../processes/signals.js";
import type { ContainerProcess } from "./program.js";

/** The background jobs and the traps of a command line. */
export class ShellJobs {
  private readonly jobs: Promise<number>[] = [];
  /** The commands of traps whose signal has arrived. */
  private pending: string[] = [];
  private exitTrap: string | undefined;
  private interruptWait: () => void = () => undefined;

  constructor(private readonly onSignal: ContainerProcess["onSignal"]) {}

  /** The number of jobs so far: `$!`. */
  get count(): number {
    return this.jobs.length;
  }

  add(job: Promise<number>): void {
    this.jobs.push(job.catch(() => 1));
  }

  /**
   * Runs commands in place of a signal's default action; empty ones ignore it, `-` restores the default.
   * @returns False for an unknown signal.
   */
  trap(commands: string, name: string): boolean {
    if (name === "EXIT" || name === "0") {
      this.exitTrap = commands === "-" ? undefined : commands;
      return true;
    }
    if (signalNumber(name) === undefined) return false;
    const handler = () => {
      if (commands !== "") this.pending.push(commands);
      this.interruptWait();
    };
    this.onSignal(name, commands === "-" ? undefined : handler);
    return true;
  }

  /** The commands of the signals that have arrived since the last call. */
  takeTraps(): string[] {
    return this.pending.splice(0);
  }

  /** The commands to run at the end, once. */
  takeExitTrap(): string | undefined {
    const { exitTrap } = this;
    this.exitTrap = undefined;
    return exitTrap;
  }

  /** Waits for one job, or for all; a trapped signal ends the wait. */
  async wait(number: number | undefined): Promise<number> {
    const jobs = number === undefined ? this.jobs : this.jobs.slice(number - 1, number);
    const ended = Promise.all(jobs).then((codes) => (number === undefined ? 0 : (codes[0] ?? 127)));
    const interrupted = new Promise<number>((resolve) => {
      this.interruptWait = () => {
        if (this.pending.length > 0) resolve(128);
      };
    });
    return await Promise.race([ended, interrupted]);
  }
}
