import { withDeadline } from "../../base/index.js";
import {
  encodeStatus,
  plainStatus,
  streamHeaders,
  type RemoteCommandProtocol,
  type SpdyConnection,
  type SpdyStream,
  type StreamName,
} from "../../carriers/index.js";
import type { WantedStreams } from "../tokens.js";
import type { ProcessClient } from "./serve-process.js";

/** Collects the streams that a client of exec or attach opens over SPDY. */
export class SpdyProcessStreams {
  private readonly streams = new Map<string, SpdyStream>();
  private readonly expected: ReadonlySet<string>;
  private complete: () => void = () => undefined;
  private readonly whenComplete = new Promise<void>((resolve) => (this.complete = resolve));

  constructor(
    wanted: WantedStreams,
    private readonly protocol: RemoteCommandProtocol,
  ) {
    this.expected = expectedStreams(wanted, protocol);
  }

  /** Accepts a stream, or refuses one that was not requested. */
  readonly onStream = (stream: SpdyStream): void => {
    const type = stream.headers.get(streamHeaders.type) ?? "";
    if (!this.expected.has(type) || this.streams.has(type)) {
      stream.reset();
      return;
    }
    this.streams.set(type, stream);
    stream.accept();
    if (this.streams.size === this.expected.size) this.complete();
  };

  /** The client, once it has opened all its streams; else it is disconnected. @throws ShimError "deadline-exceeded" */
  async client(connection: SpdyConnection, deadlineMs: number): Promise<ProcessClient> {
    const timeoutText = `the client did not open its streams within ${deadlineMs} ms`;
    const limits = { signal: connection.gone, deadlineMs, timeoutText };
    try {
      await withDeadline("opening the streams", limits, () => this.whenComplete);
    } catch (error) {
      connection.destroy();
      throw error;
    }
    const streams = new Map(this.streams);
    return new SpdyProcessClient(connection, streams, this.protocol);
  }
}

/** @see k8s.io/apimachinery/pkg/util/remotecommand: sizes came with v3 */
function expectedStreams(
  { stdin, stdout, stderr, tty }: WantedStreams,
  protocol: RemoteCommandProtocol,
): ReadonlySet<StreamName> {
  const sizes = tty && protocol !== "v2.channel.k8s.io" && protocol !== "channel.k8s.io";
  const names: [StreamName, boolean][] = [
    ["error", true],
    ["stdin", stdin],
    ["stdout", stdout],
    ["stderr", stderr && !tty],
    ["resize", sizes],
  ];
  return new Set(names.filter(([, wanted]) => wanted).map(([name]) => name));
}

class SpdyProcessClient implements ProcessClient {
  constructor(
    private readonly connection: SpdyConnection,
    private readonly streams: ReadonlyMap<string, SpdyStream>,
    private readonly protocol: RemoteCommandProtocol,
  ) {}

  get gone(): AbortSignal {
    return this.connection.gone;
  }

  get stdin() {
    return this.streams.get("stdin")?.input;
  }

  get resizes() {
    return this.streams.get("resize")?.input;
  }

  write(stream: "stdout" | "stderr", data: Uint8Array): Promise<void> {
    return this.streams.get(stream)?.write(data) ?? Promise.resolve();
  }

  async finish(result: Parameters<ProcessClient["finish"]>[0]): Promise<void> {
    this.streams.get("stdout")?.end();
    this.streams.get("stderr")?.end();
    const error = this.streams.get("error");
    const status = this.protocol === "v4.channel.k8s.io" ? encodeStatus(result) : plainStatus(result);
    await error?.write(Buffer.from(status)).catch(() => undefined);
    error?.end();
    await this.connection.close();
  }
}
