import type { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createWebSocketStream, type WebSocket } from "ws";
import type { Logger } from "../../base/index.js";
import {
  headerValues,
  portForwardProtocol,
  remoteCommandProtocols,
  SpdyConnection,
  tunnelProtocol,
  WebSocketChannels,
  type ProcessIo,
  type RemoteCommandProtocol,
} from "../../carriers/index.js";
import { SpdyPorts, type ConnectPort } from "../ports/spdy-ports.js";
import { serveWebSocketPorts } from "../ports/websocket-ports.js";
import { serveProcess, type ProcessClient } from "../session/serve-process.js";
import { SpdyProcessStreams } from "../session/spdy-client.js";
import { channelDialects, inputChannels, WebSocketProcessClient } from "../session/websocket-client.js";
import type { Target } from "../tokens.js";
import { Pulse } from "./pulse.js";
import {
  offeredProtocols,
  refuse,
  refuseProtocols,
  upgradeToSpdy,
  upgradeToWebSocket,
  type Upgrade,
} from "./upgrade.js";

/** An upgrade request with a valid token. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly upgrade: Upgrade;
  readonly target: Target;
}

export type ProcessTarget = Exclude<Target, { kind: "portforward" }>;

export interface SessionOptions {
  readonly log: Logger;
  readonly openProcess: (target: ProcessTarget) => Promise<ProcessIo>;
  readonly connectPort: (podId: string, port: number, signal: AbortSignal) => ReturnType<ConnectPort>;
  /** How long a client may take to open its streams. */
  readonly creationTimeoutMs: number;
  /** A session without traffic for this long is ended. */
  readonly idleTimeoutMs: number;
}

/** SPDY's subprotocols of exec and attach; v5 exists only for WebSockets. */
const spdyProtocols = remoteCommandProtocols.filter((name) => name !== "v5.channel.k8s.io");
/** The most streams of a port-forward, two for each connection. */
const maxPortStreams = 2_000;
const maxPorts = 100;

/** The sessions that clients have open. */
export class Sessions {
  private readonly connections = new Set<() => void>();
  private readonly work = new Set<Promise<void>>();

  constructor(private readonly options: SessionOptions) {}

  /** The number of open sessions. */
  get size(): number {
    return this.connections.size;
  }

  /** Ends all sessions. Resolves when the processes of their execs have ended. */
  async close(): Promise<void> {
    for (const end of this.connections) end();
    await Promise.all(this.work);
  }

  /**
   * Negotiates a subprotocol and serves the session, or refuses it.
   * @param accepted Called once the session is accepted.
   */
  open(arrival: Arrival, accepted: () => void): void {
    const { request, socket, head, upgrade } = arrival;
    if (socket instanceof Socket) socket.setNoDelay(true).setKeepAlive(true, 60_000);
    const known = this.knownProtocols(arrival);
    const offered = offeredProtocols(request, upgrade);
    // A WebSocket without a subprotocol is the oldest kind.
    const protocol =
      offered.length === 0 && upgrade === "websocket" ? "" : offered.find((name) => known.includes(name));
    if (protocol === undefined) {
      refuseProtocols(socket, offered, known);
    } else if (upgrade === "spdy") {
      accepted();
      this.serveSpdy(arrival.target, upgradeToSpdy(socket, head, protocol), protocol);
    } else {
      const ports = portsOf(arrival);
      if (arrival.target.kind === "portforward" && protocol !== tunnelProtocol && ports === undefined) {
        refuse(socket, 400, "port-forward over WebSocket channels wants ?port=80, up to 100 of them\n");
        return;
      }
      upgradeToWebSocket(request, socket, head, protocol, (webSocket) => {
        accepted();
        this.serveWebSocket(arrival.target, webSocket, protocol, ports ?? []);
      });
    }
  }

  private knownProtocols({ upgrade, target }: Arrival): readonly string[] {
    if (target.kind !== "portforward")
      return upgrade === "spdy" ? spdyProtocols : [...channelDialects.keys()];
    if (upgrade === "spdy") return [portForwardProtocol];
    return [tunnelProtocol, "v4.channel.k8s.io", "v4.base64.channel.k8s.io"];
  }

  private serveSpdy(target: Target, transport: Duplex, protocol: string): void {
    const pulse = this.pulse();
    if (target.kind === "portforward") {
      this.servePorts(target.podId, transport, pulse);
      return;
    }
    const streams = new SpdyProcessStreams(target.streams, protocol as RemoteCommandProtocol);
    const { onStream } = streams;
    const connection = new SpdyConnection(transport, { role: "server", onStream, onActivity: pulse.beat });
    this.watch(connection.gone, pulse, {
      ping: () => {
        connection.ping();
      },
      end: () => {
        connection.destroy();
      },
    });
    void this.serveProcess(streams.client(connection, this.options.creationTimeoutMs), target);
  }

  private serveWebSocket(
    target: Target,
    webSocket: WebSocket,
    protocol: string,
    ports: readonly number[],
  ): void {
    const pulse = this.pulse();
    if (protocol === tunnelProtocol && target.kind === "portforward") {
      this.servePorts(target.podId, createWebSocketStream(webSocket), pulse);
      return;
    }
    const dialect = channelDialects.get(protocol) ?? { base64: false, halfClose: false, structured: false };
    const inputs =
      target.kind === "portforward" ? ports.map((_, index) => 2 * index) : inputChannels(target.streams);
    const connection = new WebSocketChannels(webSocket, { ...dialect, inputs, onActivity: pulse.beat });
    this.watch(connection.gone, pulse, {
      ping: () => {
        webSocket.ping(undefined, undefined, () => undefined);
      },
      end: () => {
        connection.destroy();
      },
    });
    if (target.kind === "portforward") {
      const { podId } = target;
      void serveWebSocketPorts(connection, ports, (port, signal) =>
        this.options.connectPort(podId, port, signal),
      );
    } else {
      const client = new WebSocketProcessClient(connection, target.streams, dialect);
      void this.serveProcess(Promise.resolve(client), target);
    }
  }

  private servePorts(podId: string, transport: Duplex, pulse: Pulse): void {
    const connect: ConnectPort = (port, signal) => this.options.connectPort(podId, port, signal);
    const ports = new SpdyPorts(connect, this.options.creationTimeoutMs);
    const connection = new SpdyConnection(transport, {
      role: "server",
      onStream: ports.onStream,
      maxStreams: maxPortStreams,
      onActivity: pulse.beat,
    });
    connection.gone.addEventListener("abort", () => {
      ports.close();
    });
    this.watch(connection.gone, pulse, {
      ping: () => {
        connection.ping();
      },
      end: () => {
        connection.destroy();
      },
    });
  }

  private async serveProcess(client: Promise<ProcessClient>, target: ProcessTarget): Promise<void> {
    const { log, openProcess } = this.options;
    const work = serveProcess(client, openProcess(target), log);
    this.work.add(work);
    await work.finally(() => this.work.delete(work));
  }

  private pulse(): Pulse {
    return new Pulse(this.options.idleTimeoutMs);
  }

  private watch(
    gone: AbortSignal,
    pulse: Pulse,
    connection: { readonly ping: () => void; readonly end: () => void },
  ) {
    this.connections.add(connection.end);
    pulse.start(connection);
    gone.addEventListener("abort", () => {
      pulse.stop();
      this.connections.delete(connection.end);
    });
  }
}

/** The ports that a client of WebSocket channels names in its URL, or the kubelet in its call. */
function portsOf({ request, target }: Arrival): readonly number[] | undefined {
  const query = new URLSearchParams((request.url ?? "").split("?")[1] ?? "");
  const named = [...query.getAll("port"), ...query.getAll("ports")]
    .flatMap((text) => headerValues(text))
    .map(Number);
  const ports = named.length > 0 || target.kind !== "portforward" ? named : target.ports;
  const valid = ports.every((port) => Number.isInteger(port) && port > 0 && port <= 65_535);
  return valid && ports.length > 0 && ports.length <= maxPorts ? ports : undefined;
}
