import type { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createWebSocketStream, type WebSocket } from "ws";
import { onAbort, type Logger } from "../../base/index.js";
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
import { keepAlive, type ClientConnection } from "./keep-alive.js";
import {
  offeredProtocols,
  refuse,
  refuseProtocols,
  upgradeToSpdy,
  upgradeToWebSocket,
  type Upgrade,
} from "./upgrade.js";

/** An upgrade request with a valid token. */
export interface UpgradeRequest {
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
  /** A session without data for this long is ended. */
  readonly idleTimeoutMs: number;
}

/** SPDY's subprotocols of exec and attach; v5 exists only for WebSockets. */
const spdyProtocols = remoteCommandProtocols.filter((name) => name !== "v5.channel.k8s.io");
/** The most streams of a port-forward, two for each connection. */
const maxPortStreams = 2_000;
const maxPorts = 100;

/** The sessions that clients have open. */
export class Sessions {
  private readonly connections = new Set<ClientConnection>();
  /** The sessions of execs and attaches, which end after their connections. */
  private readonly work = new Set<Promise<void>>();
  private isClosed = false;

  constructor(private readonly options: SessionOptions) {}

  /** The number of open sessions. */
  get size(): number {
    return this.connections.size;
  }

  /** Ends all sessions, and accepts no more. Resolves when the processes of their execs have ended. */
  async close(): Promise<void> {
    this.isClosed = true;
    for (const connection of this.connections) connection.destroy();
    await Promise.all(this.work);
  }

  /**
   * Negotiates a subprotocol and serves the session, or refuses it.
   * @param accepted Called once the session is accepted.
   */
  open(upgradeRequest: UpgradeRequest, accepted: () => void): void {
    const { request, socket, head, upgrade, target } = upgradeRequest;
    if (this.isClosed) {
      refuse(socket, 503, "the container runtime is shutting down\n");
      return;
    }
    if (socket instanceof Socket) socket.setNoDelay(true).setKeepAlive(true, 60_000);
    const known = knownProtocols(upgradeRequest);
    const offered = offeredProtocols(request, upgrade);
    // A WebSocket without a subprotocol is the oldest kind.
    const protocol =
      offered.length === 0 && upgrade === "websocket" ? "" : offered.find((name) => known.includes(name));
    if (protocol === undefined) {
      refuseProtocols(socket, offered, known);
    } else if (upgrade === "spdy") {
      accepted();
      this.serveSpdy(target, upgradeToSpdy(socket, head, protocol), protocol);
    } else {
      const ports = portsOf(upgradeRequest);
      if (target.kind === "portforward" && protocol !== tunnelProtocol && ports === undefined) {
        refuse(
          socket,
          400,
          "port-forward over WebSocket channels needs ?port=80, and allows up to 100 ports\n",
        );
        return;
      }
      upgradeToWebSocket(request, socket, head, protocol, (webSocket) => {
        accepted();
        this.serveWebSocket(target, webSocket, protocol, ports ?? []);
      });
    }
  }

  private serveSpdy(target: Target, transport: Duplex, protocol: string): void {
    if (target.kind === "portforward") {
      this.serveSpdyPorts(target.podId, transport);
      return;
    }
    const streams = new SpdyProcessStreams(target.streams, protocol as RemoteCommandProtocol);
    const { onStream } = streams;
    const connection = this.keep(new SpdyConnection(transport, { role: "server", onStream }));
    void this.serveProcess(streams.client(connection, this.options.creationTimeoutMs), target);
  }

  private serveWebSocket(
    target: Target,
    webSocket: WebSocket,
    protocol: string,
    ports: readonly number[],
  ): void {
    if (protocol === tunnelProtocol && target.kind === "portforward") {
      this.serveSpdyPorts(target.podId, createWebSocketStream(webSocket));
      return;
    }
    const dialect = channelDialects.get(protocol) ?? { base64: false, halfClose: false, structured: false };
    const inputs =
      target.kind === "portforward" ? ports.map((_, index) => 2 * index) : inputChannels(target.streams);
    const connection = this.keep(new WebSocketChannels(webSocket, { ...dialect, inputs }));
    if (target.kind === "portforward") {
      void serveWebSocketPorts(connection, ports, this.connectTo(target.podId));
    } else {
      const client = new WebSocketProcessClient(connection, target.streams, dialect);
      void this.serveProcess(Promise.resolve(client), target);
    }
  }

  private serveSpdyPorts(podId: string, transport: Duplex): void {
    const ports = new SpdyPorts(this.connectTo(podId), this.options.creationTimeoutMs);
    const { onStream } = ports;
    const connection = this.keep(
      new SpdyConnection(transport, { role: "server", onStream, maxStreams: maxPortStreams }),
    );
    onAbort(connection.gone, () => {
      ports.close();
    });
  }

  private connectTo(podId: string): ConnectPort {
    return (port, signal) => this.options.connectPort(podId, port, signal);
  }

  private async serveProcess(client: Promise<ProcessClient>, target: ProcessTarget): Promise<void> {
    const { log, openProcess } = this.options;
    const work = serveProcess(client, openProcess(target), log);
    this.work.add(work);
    await work.finally(() => this.work.delete(work));
  }

  /** Lists a connection until it is closed. */
  private keep<T extends ClientConnection>(connection: T): T {
    this.connections.add(connection);
    keepAlive(connection, this.options.idleTimeoutMs);
    onAbort(connection.gone, () => this.connections.delete(connection));
    return connection;
  }
}

function knownProtocols({ upgrade, target }: UpgradeRequest): readonly string[] {
  if (target.kind !== "portforward") return upgrade === "spdy" ? spdyProtocols : [...channelDialects.keys()];
  if (upgrade === "spdy") return [portForwardProtocol];
  return [tunnelProtocol, "v4.channel.k8s.io", "v4.base64.channel.k8s.io"];
}

/** The ports that a client of WebSocket channels names in its URL, or the kubelet in its call. */
function portsOf({ request, target }: UpgradeRequest): readonly number[] | undefined {
  const query = new URLSearchParams((request.url ?? "").split("?")[1] ?? "");
  const named = [...query.getAll("port"), ...query.getAll("ports")]
    .flatMap((text) => headerValues(text))
    .map(Number);
  const ports = named.length > 0 || target.kind !== "portforward" ? named : target.ports;
  const valid = ports.every((port) => Number.isInteger(port) && port > 0 && port <= 65_535);
  return valid && ports.length > 0 && ports.length <= maxPorts ? ports : undefined;
}
