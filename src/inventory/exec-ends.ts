import type { DockerEvent } from "../docker/index.js";

/** The awaited end of one exec. */
export interface ExpectedEnd {
  /** Resolves with the event of the end; never without one. */
  readonly exitCode: Promise<number>;
  /** Stops waiting. It must be called in the end. */
  readonly forget: () => void;
}

/** The exit codes of execs from Docker's events. Only awaited execs are kept. */
export class ExecEnds {
  private readonly expected = new Map<string, (exitCode: number) => void>();

  /**
   * Waits for the end of an exec that has not been started yet. There is no event when the command could not be run,
   * and events can be lost: inspect the exec after a while.
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
