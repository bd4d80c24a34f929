import {
  channels,
  encodeStatus,
  plainStatus,
  type ProcessResult,
  type WebSocketChannels,
} from "../../carriers/index.js";
import type { WantedStreams } from "../tokens.js";
import type { ProcessClient } from "./serve-process.js";

/** The protocol for a subprotocol name. Without a name it is the first version, binary. */
export interface ChannelDialect {
  readonly base64: boolean;
  readonly halfClose: boolean;
  /** The status is JSON, as from v4 on. */
  readonly structured: boolean;
}

/** The dialects of exec and attach by subprotocol, best first. */
export const channelDialects: ReadonlyMap<string, ChannelDialect> = new Map([
  ["v5.channel.k8s.io", { base64: false, halfClose: true, structured: true }],
  ["v4.channel.k8s.io", { base64: false, halfClose: false, structured: true }],
  ["v4.base64.channel.k8s.io", { base64: true, halfClose: false, structured: true }],
  ["channel.k8s.io", { base64: false, halfClose: false, structured: false }],
  ["base64.channel.k8s.io", { base64: true, halfClose: false, structured: false }],
]);

/** The channels that a client of exec or attach may write to. */
export function inputChannels({ stdin, tty }: WantedStreams): number[] {
  return [...(stdin ? [channels.stdin] : []), ...(tty ? [channels.resize] : [])];
}

/** The client of an exec or attach behind a WebSocket. */
export class WebSocketProcessClient implements ProcessClient {
  constructor(
    private readonly connection: WebSocketChannels,
    private readonly wanted: WantedStreams,
    private readonly dialect: ChannelDialect,
  ) {
    const { stdout, stderr } = wanted;
    const first = stdout ? channels.stdout : stderr ? channels.stderr : channels.error;
    // An empty message confirms the session, as with Kubernetes' own servers.
    connection.write(first, Buffer.alloc(0)).catch(() => undefined);
  }

  get gone(): AbortSignal {
    return this.connection.gone;
  }

  get stdin() {
    return this.wanted.stdin ? this.connection.input(channels.stdin) : undefined;
  }

  get resizes() {
    return this.wanted.tty ? this.connection.input(channels.resize) : undefined;
  }

  async write(stream: "stdout" | "stderr", data: Uint8Array): Promise<void> {
    if (this.wanted[stream]) await this.connection.write(channels[stream], data);
  }

  async finish(result: ProcessResult): Promise<void> {
    const status = this.dialect.structured ? encodeStatus(result) : plainStatus(result);
    if (status !== "")
      await this.connection.write(channels.error, Buffer.from(status)).catch(() => undefined);
    await this.connection.close();
  }
}
