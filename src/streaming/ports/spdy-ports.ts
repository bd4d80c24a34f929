import type { Duplex } from "node:stream";
import { messageOf } from "../../base/index.js";
import { streamHeaders, type SpdyStream } from "../../carriers/index.js";
import { joinPort } from "./forward.js";

/** Connects to a port of the pod. */
export type ConnectPort = (port: number, signal: AbortSignal) => Promise<Duplex>;

interface Pair {
  readonly port: number;
  data?: SpdyStream;
  error?: SpdyStream;
  readonly timer: NodeJS.Timeout;
}

/** The forwarded connections of one SPDY connection. For each the client opens a pair of streams. */
export class SpdyPorts {
  private readonly pairs = new Map<string, Pair>();

  constructor(
    private readonly connect: ConnectPort,
    private readonly pairDeadlineMs: number,
  ) {}

  /** Accepts a stream; one without a port, or without its partner after a time, is reset. */
  readonly onStream = (stream: SpdyStream): void => {
    const port = portOf(stream.headers.get(streamHeaders.port));
    const type = stream.headers.get(streamHeaders.type);
    if (port === undefined || (type !== "data" && type !== "error")) {
      stream.reset();
      return;
    }
    const key = requestId(stream, type);
    const pair = this.pairs.get(key) ?? this.newPair(key, port);
    if (pair.port !== port || pair[type]) {
      stream.reset();
      return;
    }
    pair[type] = stream;
    stream.accept();
    const { data, error } = pair;
    if (!data || !error) return;
    this.forget(key, pair);
    void this.serve(port, data, error);
  };

  /** Clears the timers. */
  close(): void {
    for (const [key, pair] of this.pairs) this.forget(key, pair);
  }

  private newPair(key: string, port: number): Pair {
    const timer = setTimeout(() => {
      this.forget(key, pair);
      pair.data?.reset();
      pair.error?.reset();
    }, this.pairDeadlineMs);
    const pair: Pair = { port, timer };
    this.pairs.set(key, pair);
    return pair;
  }

  private forget(key: string, pair: Pair): void {
    clearTimeout(pair.timer);
    this.pairs.delete(key);
  }

  private async serve(port: number, data: SpdyStream, error: SpdyStream): Promise<void> {
    error.discardInput();
    try {
      const connection = await this.connect(port, data.abandoned);
      await joinPort(data, connection);
    } catch (cause) {
      await error.write(Buffer.from(messageOf(cause))).catch(() => undefined);
      data.discardInput();
    }
    // In this order, as Kubernetes does: a client that sees the data end already has the error.
    error.end();
    data.end();
  }
}

/** Clients before Kubernetes 1.5 open the error stream, then the data stream, and send no request id. */
function requestId(stream: SpdyStream, type: "data" | "error"): string {
  return (
    stream.headers.get(streamHeaders.requestId) ?? `stream ${type === "error" ? stream.id : stream.id - 2}`
  );
}

function portOf(text: string | undefined): number | undefined {
  const port = /^\d{1,5}$/.test(text ?? "") ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}
