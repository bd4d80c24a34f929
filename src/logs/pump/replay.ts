import { formatRfc3339Nanos, type Gate, type Logger } from "../../base/index.js";
import type { LogOptions } from "../../docker/index.js";
import { isSameAnchor, type Anchor } from "./anchor.js";
import { Follower, type FollowEnd, type FollowerOptions } from "./follower.js";
import { nextTurn } from "./next-turn.js";
import { AnchorSieve, openSieve, TimeSieve, type Sieve } from "./sieve.js";

/**
 * How many entries from the end of Docker's log are searched for the last one that was written, in turn; at
 * last all are. Docker finds its last entries at once and decodes its whole log to find those since a time.
 */
const searchedEntries = [64, 4_096, 262_144, undefined] as const;
/** How many old entries a follow may begin with, so that none is missed that came meanwhile. */
const followedEntries = [1_024, 8_192, 65_536, undefined] as const;

export interface ReplayOptions extends FollowerOptions {
  readonly id: string;
  /** Lets a few containers at a time read what Docker has kept. */
  readonly gate: Gate;
  readonly log: Logger;
}

/** Brings what Docker has logged into the file, each entry once: where the file ends, it goes on. */
export class Replay {
  private followed = 0;
  /** The end of the file, when Docker's log holds it no longer and nothing came after. */
  private lost: Anchor | undefined;
  /** How often Docker had rotated away what was not written yet. */
  private gaps = 0;
  private readonly follower: Follower;

  constructor(private readonly options: ReplayOptions) {
    this.follower = new Follower(options);
  }

  /**
   * Writes what Docker holds now and the file does not.
   * @param everything Also when the file is empty, which is otherwise left to {@link follow}.
   */
  async catchUp({ everything }: { readonly everything: boolean }): Promise<void> {
    const { gate, sink, writer } = this.options;
    // A stream that broke may have left lines on their way.
    await sink.flushed();
    const anchor = await writer.anchor();
    if (anchor) await gate.run(() => this.goOnAfter(anchor));
    else if (everything) await gate.run(() => this.read({}, openSieve));
    await sink.flushed();
  }

  /** Writes what comes, until the stream ends or another {@link catchUp} is due. */
  async follow(): Promise<FollowEnd> {
    const anchor = await this.options.writer.anchor();
    const tailLines = followedEntries[this.followed];
    const end = await (anchor === undefined
      ? this.follower.run({}, openSieve)
      : this.lost && isSameAnchor(this.lost, anchor)
        ? this.follower.run({}, new TimeSieve(anchor.entry.timestampNanos))
        : this.follower.run(
            lastEntries(tailLines),
            new AnchorSieve(anchor, { isWhole: tailLines === undefined }),
          ));
    const { id, log, sink } = this.options;
    log.debug({ container: id, end }, "a follow of the container's log has ended");
    // The more a container says, the more comes between the search and the follow.
    this.followed = end === "missed" ? Math.min(this.followed + 1, followedEntries.length - 1) : 0;
    await sink.flushed();
    return end;
  }

  /** From now on lines are not gathered: the end is near. */
  hurry(): void {
    this.follower.hurry();
  }

  /** Ends a follow that is under way. */
  cut(): void {
    this.follower.cut();
  }

  private async goOnAfter(anchor: Anchor): Promise<void> {
    if (this.lost && isSameAnchor(this.lost, anchor)) {
      await this.read({}, new TimeSieve(anchor.entry.timestampNanos));
      return;
    }
    this.lost = undefined;
    for (const tailLines of searchedEntries) {
      const sieve = new AnchorSieve(anchor, { isWhole: tailLines === undefined });
      const entries = await this.read(lastEntries(tailLines), sieve);
      if (sieve.isOpen) return;
      if (tailLines !== undefined && entries < tailLines && !sieve.isDoubtful) break;
    }
    await this.goOnAfterLoss(anchor);
  }

  private async goOnAfterLoss(anchor: Anchor): Promise<void> {
    const { describe, id, log } = this.options;
    const { timestampNanos } = anchor.entry;
    const { createdAtNanos = 0n } = await describe();
    const sieve = new TimeSieve(timestampNanos);
    await this.read({}, sieve);
    if (!sieve.isOpen) this.lost = anchor;
    // An older container of the same name may have written to the file before.
    if (timestampNanos < createdAtNanos) return;
    const { firstNanos } = sieve;
    const gap = {
      after: formatRfc3339Nanos(timestampNanos),
      before: firstNanos === undefined ? undefined : formatRfc3339Nanos(firstNanos),
      // Docker counts nothing, and nobody else has seen them.
      estimatedLines: sieve.estimateMissing(),
      gapsSoFar: ++this.gaps,
    };
    log.warn(
      { container: id, ...gap },
      "Docker no longer holds the last line of the container's log file: it may have rotated lines away that " +
        "were not written yet. More room for Docker's own log (dockerMaxSizeBytes, dockerMaxFiles) avoids that",
    );
  }

  /** Reads what Docker holds, without waiting for more. @returns How many entries there were. */
  private async read(options: LogOptions, sieve: Sieve): Promise<number> {
    const { read, signal, sink } = this.options;
    let entries = 0;
    for await (const batch of await read({ ...options, follow: false, signal })) {
      for (const frame of batch) {
        entries++;
        const fresh = sieve.pass(frame);
        if (sieve.isDoubtful) return entries;
        if (fresh) sink.add(fresh);
        if (sink.isFull) await sink.room();
        if (entries % 512 === 0) await nextTurn();
      }
    }
    return entries;
  }
}

function lastEntries(tailLines: number | undefined): LogOptions {
  return tailLines === undefined ? {} : { tailLines };
}
