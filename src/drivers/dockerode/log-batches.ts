import type { IncomingMessage } from "node:http";
import type { LogFrame, LogOptions } from "../../docker/index.js";
import { chunksOf } from "./body.js";
import type { Call } from "./call.js";
import type { Engine } from "./engine.js";
import { LogDemux } from "./log-demux.js";
import { terminalEntries } from "./log-entries.js";
import { openLog } from "./logs.js";

/** So much may wait for a reader before Docker is held back. */
const fullBytes = 256 * 1024;

/** The log of a container as Docker tells it, in the pieces that came at once. */
export async function* readLogBatches(
  engine: Engine,
  id: string,
  options: LogOptions,
): AsyncGenerator<readonly LogFrame[]> {
  const call = engine.open("containers.logs", options);
  try {
    const { request, isTerminal } = await openLog(engine, call, id, options);
    const response = await engine.head(call, request);
    try {
      if (!isTerminal) yield* batchesOf(call, response);
      else for await (const entry of terminalEntries(chunksOf(call, response))) yield [entry];
    } catch (error) {
      throw engine.failure(call, request, error);
    }
  } finally {
    call.end();
  }
}

async function* batchesOf(call: Call, response: IncomingMessage): AsyncGenerator<readonly LogFrame[]> {
  const batches = new Batches(response);
  try {
    for (;;) {
      call.check();
      const batch = await batches.next();
      if (batch === undefined) break;
      yield batch;
    }
    call.check();
  } finally {
    response.destroy();
  }
}

/**
 * What has come of an answer and was not asked for yet. Docker sends each entry by itself: taken one by one
 * through a chain of iterators, a loud container's lines would cost several times what they do in batches.
 */
class Batches {
  private readonly demux = new LogDemux();
  private batch: LogFrame[] = [];
  private bytes = 0;
  private isOver = false;
  private error: Error | undefined;
  private wake: () => void = () => undefined;

  constructor(private readonly response: IncomingMessage) {
    response.on("data", (chunk: Buffer) => {
      this.take(chunk);
    });
    response.on("end", () => {
      this.end();
    });
    response.on("error", (error: Error) => {
      this.end(error);
    });
    response.on("close", () => {
      this.end();
    });
  }

  /** Everything that has come; undefined at the end. */
  async next(): Promise<readonly LogFrame[] | undefined> {
    // What comes in the same turn is one batch.
    if (this.batch.length === 0 && !this.isOver) await new Promise<void>((resolve) => (this.wake = resolve));
    const { batch } = this;
    this.batch = [];
    this.bytes = 0;
    if (this.response.isPaused()) this.response.resume();
    if (batch.length > 0) return batch;
    if (this.error) throw this.error;
    return this.isOver ? undefined : batch;
  }

  private take(chunk: Buffer): void {
    try {
      this.demux.push(chunk, this.batch);
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.bytes += chunk.length;
    if (this.bytes >= fullBytes) this.response.pause();
    this.signal();
  }

  private end(error?: Error): void {
    if (this.isOver) return;
    this.isOver = true;
    this.error = error;
    if (!error) {
      try {
        this.demux.end();
      } catch (torn) {
        this.error = torn as Error;
      }
    }
    this.signal();
  }

  private signal(): void {
    const { wake } = this;
    this.wake = () => undefined;
    setImmediate(wake);
  }
}
