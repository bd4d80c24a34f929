import type { DockerMethod } from "./faults.js";

/** Counts the engine's calls and open streams, for tests of call counts and leaks. */
export class MemoryCallCounter {
  private readonly counts = new Map<DockerMethod, number>();
  private readonly streams = new Map<DockerMethod, number>();
  private underWay = 0;

  /** The calls of a method, or of all methods, since the last {@link reset}. */
  count(method?: DockerMethod): number {
    if (method !== undefined) return this.counts.get(method) ?? 0;
    return sum(this.counts);
  }

  /** The open streams: logs, events, pulls, exports, attach and exec connections. */
  openStreams(method?: DockerMethod): number {
    if (method !== undefined) return this.streams.get(method) ?? 0;
    return sum(this.streams);
  }

  /** Calls without an answer yet. */
  get inFlight(): number {
    return this.underWay;
  }

  /** Resets the counts; open streams stay counted. */
  reset(): void {
    this.counts.clear();
  }

  /** Counts a call. */
  add(method: DockerMethod): void {
    this.counts.set(method, (this.counts.get(method) ?? 0) + 1);
  }

  /** Counts a call as under way. @returns To be called at its end. */
  enter(): () => void {
    this.underWay++;
    return () => {
      this.underWay--;
    };
  }

  /** Counts an open stream. @returns To be called at its end; idempotent. */
  open(method: DockerMethod): () => void {
    this.streams.set(method, this.openStreams(method) + 1);
    let open = true;
    return () => {
      if (open) this.streams.set(method, this.openStreams(method) - 1);
      open = false;
    };
  }
}

function sum(numbers: ReadonlyMap<unknown, number>): number {
  return [...numbers.values()].reduce((total, number) => total + number, 0);
}
