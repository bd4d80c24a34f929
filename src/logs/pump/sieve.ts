import type { LogFrame } from "../../docker/index.js";
import { endOfEntry, equalLinesApart, type Anchor } from "./anchor.js";

/** Lets the new part of a replay of Docker's log through. */
export interface Sieve {
  /** @returns What is new of a frame; undefined when nothing is. */
  pass(frame: LogFrame): LogFrame | undefined;
  /** True once it is known where the new part begins. */
  readonly isOpen: boolean;
  /** True once it can no longer be known out of this replay: one that begins earlier may tell. */
  readonly isDoubtful: boolean;
}

/** Everything is new. */
export const openSieve: Sieve = { pass: (frame) => frame, isOpen: true, isDoubtful: false };

/**
 * Lets through what follows the anchor. Order alone counts: timestamps of two streams cross each other, the
 * parts of a line carry the time of its first, and clocks are set back.
 */
export class AnchorSieve implements Sieve {
  isOpen = false;
  isDoubtful = false;
  private left: number;
  private seen = 0;
  private sawBegin: boolean;

  /** @param isWhole The replay begins where Docker's log does: nothing is cut off in front. */
  constructor(
    private readonly anchor: Anchor,
    { isWhole }: { readonly isWhole: boolean },
  ) {
    this.left = anchor.occurrence;
    // Equal entries can only be counted from the first of them on.
    this.sawBegin = isWhole;
  }

  pass(frame: LogFrame): LogFrame | undefined {
    if (this.isOpen) return frame;
    if (this.isDoubtful) return undefined;
    const { entry } = this.anchor;
    const isOther = frame.stream === entry.stream && frame.timestampNanos !== entry.timestampNanos;
    if (isOther || (!entry.partial && ++this.seen > equalLinesApart)) this.sawBegin = true;
    const end = endOfEntry(frame, entry, () => --this.left === 0);
    if (end === undefined) return undefined;
    this.isOpen = this.sawBegin;
    this.isDoubtful = !this.sawBegin;
    return this.isOpen && end < frame.data.length ? { ...frame, data: frame.data.subarray(end) } : undefined;
  }
}

/**
 * Lets through what was said after a moment, for when the anchor is no longer in Docker's log. A log that
 * begins later than that is new as a whole.
 */
export class TimeSieve implements Sieve {
  readonly isDoubtful = false;
  /** The times of the first entry that was let through and of the newest, and how many there were. */
  firstNanos: bigint | undefined;
  newestNanos = 0n;
  count = 0;

  constructor(private readonly afterNanos: bigint) {}

  get isOpen(): boolean {
    return this.firstNanos !== undefined;
  }

  pass(frame: LogFrame): LogFrame | undefined {
    if (frame.timestampNanos > this.afterNanos) this.firstNanos ??= frame.timestampNanos;
    if (!this.isOpen) return undefined;
    this.count++;
    if (frame.timestampNanos > this.newestNanos) this.newestNanos = frame.timestampNanos;
    return frame;
  }

  /** How many entries came between the moment and the first that was let through, at the pace of the others. */
  estimateMissing(): number | undefined {
    const { firstNanos = 0n, newestNanos, count } = this;
    const spanNanos = Number(newestNanos - firstNanos);
    if (count < 2 || spanNanos <= 0) return undefined;
    const paces = Math.round((Number(firstNanos - this.afterNanos) * (count - 1)) / spanNanos);
    return Math.max(0, paces - 1);
  }
}
