import { constants, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../../base/index.js";

/** The last stream of a GOAWAY frame: every call that was sent before the frame arrives is answered. */
const allStreams = 0x7fff_ffff;
/** How long clients have to read that frame. */
const noticeMs = 20;

interface Connection {
  speaksHttp2: boolean;
  /** HTTP/1.1 requests under way. */
  answering: number;
}

/** The connections of one server. Node's own `close()` waits for idle HTTP/2 sessions, with no time limit. */
export class Connections {
  private readonly sockets = new Map<Socket, Connection>();
  private readonly sessions = new Set<ServerHttp2Session>();
  private closing = false;
  private onGone: (() => void) | undefined;

  constructor(private readonly log: Logger) {}

  /** Tracks a connection until it closes. False if it is already closed. */
  add(socket: Socket): boolean {
    socket.on("error", (error) => {
      this.log.debug({ err: error }, "a connection failed");
    });
    if (socket.destroyed) return false;
    this.sockets.set(socket, { speaksHttp2: false, answering: 0 });
    socket.once("close", () => {
      this.sockets.delete(socket);
      if (this.sockets.size === 0) this.onGone?.();
    });
    return true;
  }

  speaksHttp2(socket: Socket): void {
    const connection = this.sockets.get(socket);
    if (connection) connection.speaksHttp2 = true;
  }

  addSession(session: ServerHttp2Session): void {
    this.sessions.add(session);
    session.once("close", () => this.sessions.delete(session));
    if (this.closing) session.close();
  }

  /** Counts an HTTP/1.1 request. @returns A function to call once it is answered. */
  answering(socket: Socket): () => void {
    const connection = this.sockets.get(socket);
    if (connection) connection.answering++;
    return () => {
      if (connection) connection.answering--;
      if (this.closing) this.closeIfIdle(socket);
    };
  }

  /**
   * Sends GOAWAY, then closes idle connections, and the others after their last call. A
   * call that was sent before the GOAWAY arrived is still accepted.
   */
  async closeWhenIdle(): Promise<void> {
    this.closing = true;
    for (const socket of this.sockets.keys()) this.closeIfIdle(socket);
    if (this.sessions.size === 0) return;
    for (const session of this.sessions) session.goaway(constants.NGHTTP2_NO_ERROR, allStreams);
    await delay(noticeMs);
    for (const session of this.sessions) session.close();
  }

  /** Resolves with true once no connection is left, with false when some are left after `withinMs`. */
  gone(withinMs: number): Promise<boolean> {
    if (this.sockets.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (gone: boolean) => {
        clearTimeout(timer);
        this.onGone = undefined;
        resolve(gone);
      };
      const timer = setTimeout(end, withinMs, false);
      this.onGone = () => {
        end(true);
      };
    });
  }

  destroy(): void {
    for (const session of this.sessions) session.destroy();
    for (const socket of this.sockets.keys()) socket.destroy();
  }

  private closeIfIdle(socket: Socket): void {
    const connection = this.sockets.get(socket);
    if (connection && !connection.speaksHttp2 && connection.answering === 0) socket.destroySoon();
  }
}
