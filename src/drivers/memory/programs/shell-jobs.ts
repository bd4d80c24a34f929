import { signalNumber } from "../processes/signals.js";
import type { ProgramIo } from "./program.js";

/** What a shell has running in the background, and what it does on signals. */
export class ShellJobs {
  private readonly jobs: Promise<number>[] = [];
  private readonly pending: string[] = [];
  private wake: () => void = () => undefined;
  private atExit: string | undefined;

  constructor(private readonly io: Pick<ProgramIo, "onSignal">) {}

  /** How many were started: `$!`. */
  get count(): number {
    return this.jobs.length;
  }

  add(job: Promise<number>): void {
    this.jobs.push(job.catch(() => 1));
  }

  /**
   * Runs commands in place of a signal's default action; none ignore it, `-` is the default again.
   * @returns False for what is no signal.
   */
  trap(commands: string, name: string): boolean {
    if (name === "EXIT" || name === "0") {
      this.atExit = commands === "-" ? undefined : commands;
      return true;
    }
    if (signalNumber(name) === undefined) return false;
    const handler = () => {
      if (commands !== "") this.pending.push(commands);
      this.wake();
    };
    this.io.onSignal(name, commands === "-" ? undefined : handler);
    return true;
  }

  /** The commands of the signals that came since the last call. */
  takeTraps(): string[] {
    return this.pending.splice(0);
  }

  /** The commands for the shell's end, once. */
  takeExitTrap(): string | undefined {
    const { atExit } = this;
    this.atExit = undefined;
    return atExit;
  }

  /** Waits for one job, or for all; a signal that has a trap ends the wait. */
  async wait(number: number | undefined): Promise<number> {
    const jobs = number === undefined ? this.jobs : this.jobs.slice(number - 1, number);
    const ended = Promise.all(jobs).then((codes) => (number === undefined ? 0 : (codes[0] ?? 127)));
    const interrupted = new Promise<number>((resolve) => {
      this.wake = () => {
        if (this.pending.length > 0) resolve(128);
      };
    });
    // The signal may have come just before.
    this.wake();
    return await Promise.race([ended, interrupted]);
  }
}
