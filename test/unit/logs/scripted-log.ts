import { ShimError } from "../../../src/base/index.js";
import type { DockerContainer, LogFrame, LogOptions } from "../../../src/docker/index.js";
import type { LogSource } from "../../../src/logs/container-log.js";

export type StreamName = LogFrame["stream"];

/** Docker's log of one container, told line by line what to hold and how to fail. */
export class ScriptedLog implements LogSource {
  readonly id = "c".repeat(64);
  /** Every entry ever said. */
  readonly said: LogFrame[] = [];
  /** How many of them Docker has rotated away. */
  rotatedAway = 0;
  state: "created" | "running" | "exited" = "running";
  createdAtNanos = 1n;
  logPath: string | undefined;
  maxSize: string | undefined;
  /** A follow leaves out so many entries at once, as one does that has fallen back by two rotations. */
  skips = 0;
  /** A follow gives the last so many entries once more, as engines before 23 do. */
  repeats = 0;
  /** What the next calls of logs throw. */
  readonly failures: Error[] = [];
  /** Every call of logs. */
  readonly calls: LogOptions[] = [];
  inspects = 0;
  openStreams = 0;
  /** A follow loses its file: it gives nothing any more, as engines before 23 do. */
  deafFollows = 0;
  private waiting: (() => void)[] = [];
  private generation = 0;
  private nextNanos = 1_700_000_000_123_456_789n;

  say(stream: StreamName, text: string | Uint8Array, timestampNanos = this.tick()): void {
    const data = typeof text === "string" ? Buffer.from(text) : text;
    this.said.push({ stream, timestampNanos, data });
    this.wake();
  }

  tick(nanos = 1_000n): bigint {
    return (this.nextNanos += nanos);
  }

  exit(): void {
    this.state = "exited";
    this.wake();
  }

  /** Cuts every stream, as a killed dockerd does. */
  breakStreams(): void {
    this.generation++;
    this.wake();
  }

  inspect(): Promise<DockerContainer> {
    this.inspects++;
    const running = this.state === "running";
    return Promise.resolve({
      id: this.id,
      name: "n",
      createdAtNanos: this.createdAtNanos,
      state: {
        status: this.state,
        running,
        paused: false,
        oomKilled: false,
        dead: false,
        ...(this.state === "created" ? {} : { startedAtNanos: this.createdAtNanos }),
      },
      config: {},
      host:
        this.maxSize === undefined
          ? {}
          : { logConfig: { driver: "json-file", options: { "max-size": this.maxSize } } },
      mounts: [],
      networks: [],
      ...(this.logPath === undefined ? {} : { logPath: this.logPath }),
      execIds: [],
    });
  }

  async *logs(_id: string, options: LogOptions = {}): AsyncGenerator<readonly LogFrame[]> {
    this.calls.push(options);
    const failure = this.failures.shift();
    if (failure) throw failure;
    const { generation } = this;
    const canFollow = options.follow === true && this.state === "running";
    const isDeaf = canFollow && this.deafFollows > 0 && this.deafFollows-- > 0;
    let next = options.tailLines === undefined ? 0 : Math.max(0, this.said.length - options.tailLines);
    const wakeUp = () => {
      this.wake();
    };
    options.signal?.addEventListener("abort", wakeUp, { once: true });
    this.openStreams++;
    try {
      for (;;) {
        const over = !canFollow || this.state !== "running";
        while (next < this.said.length && !isDeaf) {
          if (options.signal?.aborted) throw new ShimError("cancelled", "cut");
          if (generation !== this.generation) throw new ShimError("unavailable", "the stream broke");
          next = Math.max(next, this.rotatedAway);
          if (options.follow) {
            next += this.skips - this.repeats;
            this.skips = this.repeats = 0;
          }
          const entry = this.said[next];
          if (!entry) break;
          next++;
          yield [entry];
        }
        if (over) return;
        if (options.signal?.aborted) throw new ShimError("cancelled", "cut");
        if (generation !== this.generation) throw new ShimError("unavailable", "the stream broke");
        await new Promise<void>((resolve) => this.waiting.push(resolve));
      }
    } finally {
      this.openStreams--;
      options.signal?.removeEventListener("abort", wakeUp);
    }
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resume of waiting) resume();
  }
}
