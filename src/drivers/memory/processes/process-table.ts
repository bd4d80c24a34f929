import { Process, type ProcessOptions } from "./process.js";
import { SIGKILL } from "./signals.js";

/** Called for each process that starts and ends. */
export interface ProcessObserver {
  started(process: Process): void;
  ended(process: Process): void;
}

/** The living processes of a node. Pids are never reused. */
export class ProcessTable {
  private readonly live = new Map<number, Process>();
  private readonly observers: ProcessObserver[] = [];
  private nextPid = 4001;

  /** Creates a process. @param onEnd Called synchronously at its end. */
  spawn(options: ProcessOptions, onEnd: (code: number) => void): Process {
    const pid = this.nextPid++;
    const process: Process = new Process(pid, options, (code) => {
      this.live.delete(pid);
      for (const observer of this.observers) observer.ended(process);
      onEnd(code);
    });
    this.live.set(pid, process);
    for (const observer of this.observers) observer.started(process);
    return process;
  }

  observe(observer: ProcessObserver): void {
    this.observers.push(observer);
  }

  get(pid: number): Process | undefined {
    return this.live.get(pid);
  }

  /** The living processes, oldest first. */
  all(): Process[] {
    return [...this.live.values()];
  }

  /** The number of living processes. */
  get size(): number {
    return this.live.size;
  }

  /** Removes a process without calling its `onEnd`, as after a crash that the engine did not notice. */
  forget(pid: number): void {
    const process = this.live.get(pid);
    if (!process) return;
    this.live.delete(pid);
    for (const observer of this.observers) observer.ended(process);
  }

  /** Kills the processes with a matching environment. @returns How many were signalled. */
  killWhere(isMeant: (environment: ReadonlyMap<string, string>) => boolean): number {
    const meant = [...this.live.values()].filter(({ environment }) =>
      isMeant(new Map(Object.entries(environment))),
    );
    return meant.filter((process) => process.send(SIGKILL)).length;
  }

  /** Kills a process and its descendants. @returns How many were signalled. */
  killTree(pid: number): number {
    const root = this.live.get(pid);
    if (!root) return 0;
    const tree = [...this.live.values()].filter((process) => isWithin(process, root));
    return tree.filter((process) => process.send(SIGKILL)).length;
  }
}

function isWithin(process: Process, root: Process): boolean {
  for (let at: Process | undefined = process; at; at = at.parent) if (at === root) return true;
  return false;
}
