import {
  channels,
  decodeStatus,
  encodeSize,
  remoteCommandProtocols,
  remoteProcess,
  SpdyConnection,
  streamHeaders,
  WebSocketChannels,
  type ProcessIo,
  type ProcessResult,
  type PutOutput,
  type RemoteProcess,
  type StreamName,
  type TerminalSize,
} from "../../carriers/index.js";
import { dialSpdy, dialWebSocket, type StreamingClientOptions } from "./dial.js";
import { readText } from "./read-text.js";

export interface ProcessClientOptions extends StreamingClientOptions {
  /** The streams that were requested with the URL. */
  readonly stdin?: boolean | undefined;
  readonly stdout?: boolean | undefined;
  readonly stderr?: boolean | undefined;
  readonly tty?: boolean | undefined;
}

/** One end of a connection that carries the streams of a process. */
interface Carrier {
  readonly gone: AbortSignal;
  input(name: StreamName): AsyncIterable<Buffer> | undefined;
  write(name: StreamName, data: Uint8Array): Promise<void>;
  end(name: StreamName): void;
  close(): void;
}

/**
 * Connects to the URL of an Exec or Attach response, of docker-cri or another runtime.
 * @throws ShimError "not-found" for a used or expired URL; "unavailable" and others when the connection fails.
 * @see CRI v1 ExecResponse.url, AttachResponse.url
 */
export async function connectProcess(
  url: string,
  options: ProcessClientOptions = {},
): Promise<RemoteProcess> {
  const names = wantedStreams(options);
  const carrier = await (options.transport === "websocket" ? overWebSocket : overSpdy)(url, names, options);
  return remoteProcess(new CarriedProcess(carrier), "streaming");
}

function wantedStreams({
  stdin,
  stdout = true,
  stderr = true,
  tty = false,
}: ProcessClientOptions): StreamName[] {
  const names: [StreamName, boolean][] = [
    ["error", true],
    ["stdin", stdin ?? false],
    ["stdout", stdout],
    ["stderr", stderr && !tty],
    ["resize", tty],
  ];
  return names.filter(([, wanted]) => wanted).map(([name]) => name);
}

async function overSpdy(
  url: string,
  names: readonly StreamName[],
  options: ProcessClientOptions,
): Promise<Carrier> {
  const { socket } = await dialSpdy(url, remoteCommandProtocols, options);
  const connection = new SpdyConnection(socket, { role: "client" });
  const streams = new Map(
    names.map((name) => [name, connection.open(new Map([[streamHeaders.type, name]]))] as const),
  );
  for (const name of ["error", "stdout", "stderr"] as const) streams.get(name)?.end();
  return {
    gone: connection.gone,
    input: (name) => streams.get(name)?.input,
    write: async (name, data) => streams.get(name)?.write(data),
    end: (name) => {
      streams.get(name)?.end();
    },
    close: () => {
      connection.destroy();
    },
  };
}

async function overWebSocket(
  url: string,
  names: readonly StreamName[],
  options: ProcessClientOptions,
): Promise<Carrier> {
  const protocols = ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"];
  const { socket, protocol } = await dialWebSocket(url, protocols, options);
  const inputs = names.filter((name) => name !== "stdin" && name !== "resize").map((name) => channels[name]);
  const halfClose = protocol === protocols[0];
  const connection = new WebSocketChannels(socket, { base64: false, halfClose, inputs });
  socket.resume();
  return {
    gone: connection.gone,
    input: (name) => (names.includes(name) ? connection.input(channels[name]) : undefined),
    write: (name, data) => connection.write(channels[name], data),
    end: (name) => {
      connection.endChannel(channels[name]);
    },
    close: () => {
      connection.destroy();
    },
  };
}

class CarriedProcess implements ProcessIo {
  private readonly status: Promise<string>;

  constructor(private readonly carrier: Carrier) {
    this.status = readText(carrier.input("error") ?? []);
    this.status.catch(() => undefined);
  }

  async readOutput(put: PutOutput): Promise<void> {
    const follow = async (name: "stdout" | "stderr") => {
      for await (const data of this.carrier.input(name) ?? []) await put(name, data);
    };
    await Promise.all([follow("stdout"), follow("stderr")]);
  }

  async write(data: Uint8Array): Promise<void> {
    await this.carrier.write("stdin", data);
  }

  endInput(): void {
    this.carrier.end("stdin");
  }

  resize(size: TerminalSize): void {
    this.carrier.write("resize", Buffer.from(encodeSize(size))).catch(() => undefined);
  }

  async result(): Promise<ProcessResult> {
    try {
      return decodeStatus(await this.status);
    } finally {
      this.carrier.close();
    }
  }

  abandon(): Promise<void> {
    this.carrier.close();
    return Promise.resolve();
  }
}
