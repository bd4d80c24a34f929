import { sleep } from "../../../base/index.js";
import { fsError } from "./fs-error.js";

/** A fault of one method of the node. */
export interface HostFault {
  /** Node's error code, such as `ENOSPC`; without one only the delay counts. */
  readonly code?: string;
  /** Only for this path, or this program of `processes.run`. */
  readonly path?: string;
  readonly delayMs?: number;
  /** How often; without limit when absent. */
  readonly times?: number;
}

/** The node's faults by method: `files.writeAtomic`, `processes.run`, … */
export class HostFaults {
  private faults: { readonly method: string; readonly fault: HostFault; left: number }[] = [];

  /** @returns Removes the fault. */
  on(method: string, fault: HostFault): () => void {
    const entry = { method, fault, left: fault.times ?? Infinity };
    this.faults.push(entry);
    return () => {
      this.faults = this.faults.filter((other) => other !== entry);
    };
  }

  clear(): void {
    this.faults = [];
  }

  /** Applies the fault of a call. @throws Node's error for the fault's code. */
  async meet(method: string, path: string, signal?: AbortSignal): Promise<void> {
    const entry = this.faults.find(
      (candidate) =>
        candidate.method === method &&
        candidate.left > 0 &&
        (candidate.fault.path === undefined || candidate.fault.path === path),
    );
    if (!entry) return;
    entry.left--;
    const { delayMs, code } = entry.fault;
    if (delayMs !== undefined) await sleep(delayMs, signal);
    if (code !== undefined) throw fsError(code, method, path);
  }
}
