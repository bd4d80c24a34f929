import type { DockerEvent } from "../docker/index.js";

/** The end of one exec that somebody waits for. */
export interface ExpectedEnd {
  /** Resolves when an event has told it; never, when none does. */
  readonly exitCode: Promise<number>;
  /** Ends the waiting; whoever expects an end must call it. */
  readonly forget: () => void;
}

/** The exit codes of execs, as Docker's events tell them; nothing is kept of an exec that nobody waits for. */
export class ExecEnds {
  private readonly expected = new Map<string, (exitCode: number) => void>();

  /**
   * Waits for the end of an exec. It must not have been started yet, or its event may have passed. Docker tells of
   * no end when the command could not be run, and events can be lost: ask `inspect` after a while.
   */
  expect(execId: string): ExpectedEnd {
    const exitCode = new Promise<number>((resolve) => this.expected.set(execId, resolve));
    return { exitCode, forget: () => this.expected.delete(execId) };
  }

  /** Takes an event `exec_die`. */
  onEvent({ attributes }: DockerEvent): void {
    const { execID = "", exitCode = "" } = attributes;
    if (/^\d+$/.test(exitCode)) this.expected.get(execID)?.(Number(exitCode));
  }
}
