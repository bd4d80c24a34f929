import type { Socket } from "node:net";

/** The first bytes of HTTP/2 with prior knowledge; no HTTP/1 method starts with them. */
const http2Start = "PRI";

/** Silent clients are disconnected after this time. */
const silenceMs = 10_000;

/**
 * Distinguishes HTTP/2 from HTTP/1.1 by the first bytes of a connection, which remain readable. A client
 * that stays silent for 10 s is disconnected.
 */
export function sniffProtocol(socket: Socket, found: (protocol: "http2" | "http1") => void): void {
  let head = "";
  const timer = setTimeout(() => {
    socket.destroy();
  }, silenceMs);
  const onClose = () => {
    clearTimeout(timer);
  };
  const onData = (chunk: Buffer) => {
    head += chunk.toString("latin1", 0, http2Start.length);
    chunks.push(chunk);
    if (head.length < http2Start.length && http2Start.startsWith(head)) return;
    clearTimeout(timer);
    socket.off("data", onData).off("close", onClose).pause();
    socket.unshift(Buffer.concat(chunks));
    found(head.startsWith(http2Start) ? "http2" : "http1");
  };
  const chunks: Buffer[] = [];
  socket.on("data", onData).on("close", onClose);
}
