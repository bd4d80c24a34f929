import { performance } from "node:perf_hooks";

/** The engine's clock: nanoseconds since the Unix epoch that never repeat and never go back. */
export class Clock {
  private lastNanos = 0n;

  /** Now; later than every earlier answer. */
  now(): bigint {
    const micros = Math.floor((performance.timeOrigin + performance.now()) * 1000);
    const wallNanos = BigInt(micros) * 1000n;
    this.lastNanos = wallNanos > this.lastNanos ? wallNanos : this.lastNanos + 1n;
    return this.lastNanos;
  }
}
