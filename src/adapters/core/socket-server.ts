import type http from "node:http";
import type http2 from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { Calls, GrpcServer, type RpcOptions, type RpcTarget } from "../../rpc/serving.js";
import { connectListener, type NodeListener } from "./connect-listener.js";
import { Connections } from "./connections.js";
import { createHttp1, createHttp2 } from "./http-servers.js";
import { sniffProtocol } from "./sniff.js";

/** How long the answers of aborted calls may take to reach the clients before their connections are closed. */
const farewellMs = 250;

/**
 * Serves gRPC, gRPC-Web and Connect JSON on accepted connections, and closes them all in bounded time. The adapter
 * that accepts the connections decides about addresses and permissions.
 */
export class SocketServer {
  private readonly calls: Calls;
  private readonly http2: http2.Http2Server;
  private readonly http1: http.Server;
  private readonly connections: Connections;
  private closed: Promise<void> | undefined;

  constructor(target: RpcTarget, options: RpcOptions) {
    const { log } = target;
    this.calls = new Calls(target, options);
    this.connections = new Connections(log);
    const connect: NodeListener = connectListener(this.calls, log);
    this.http2 = createHttp2(new GrpcServer(this.calls, log), connect, this.connections);
    this.http1 = createHttp1(connect, this.connections);
  }

  /** Takes a connection without TLS. */
  accept(socket: Socket): void {
    if (!this.admit(socket)) return;
    sniffProtocol(socket, (protocol) => {
      if (protocol === "http2") this.speakHttp2(socket);
      else {
        this.speakHttp1(socket);
        socket.resume();
      }
    });
  }

  /** Takes a connection once its TLS handshake has chosen the protocol. */
  acceptSecure(socket: TLSSocket): void {
    if (!this.admit(socket)) return;
    if (socket.alpnProtocol === "h2") this.speakHttp2(socket);
    else this.speakHttp1(socket);
  }

  /**
   * Ends streams with UNAVAILABLE, gives unary calls `graceMs` to end, aborts the rest, and closes every connection.
   * A second call waits for the first.
   */
  close(graceMs: number): Promise<void> {
    this.closed ??= this.closeAll(graceMs);
    return this.closed;
  }

  private admit(socket: Socket): boolean {
    if (this.closed) {
      socket.destroy();
      return false;
    }
    return this.connections.add(socket);
  }

  private speakHttp2(socket: Socket): void {
    this.connections.speaksHttp2(socket);
    this.http2.emit("connection", socket);
  }

  private speakHttp1(socket: Socket): void {
    this.http1.emit("connection", socket);
  }

  private async closeAll(graceMs: number): Promise<void> {
    this.http1.close();
    this.calls.close();
    await this.connections.closeWhenIdle();
    if (await this.connections.gone(graceMs)) return;
    this.calls.abortAll();
    if (await this.connections.gone(farewellMs)) return;
    this.connections.destroy();
    await this.connections.gone(farewellMs);
  }
}
