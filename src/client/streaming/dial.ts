import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { createWebSocketStream, WebSocket } from "ws";
import { ShimError, withDeadline, type ErrorKind } from "../../base/index.js";
import { headerValues, protocolHeader, spdyUpgrade } from "../../carriers/index.js";
import type { ClientTls } from "../transport.js";
import { readText } from "./read-text.js";

/** How to reach the URL of an exec, attach or port-forward. */
export interface StreamingClientOptions {
  /** The protocol; SPDY by default, which every runtime supports. */
  readonly transport?: "spdy" | "websocket" | undefined;
  /** For https. */
  readonly tls?: Pick<ClientTls, "ca" | "cert" | "key"> | undefined;
  /** Added to the request, such as `Authorization` for an API server. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The deadline of the upgrade; 30 s by default. */
  readonly deadlineMs?: number | undefined;
  /** Aborts the upgrade; an established connection stays. */
  readonly signal?: AbortSignal | undefined;
}

const defaultDeadlineMs = 30_000;

/**
 * Sends an upgrade request to SPDY.
 * @param protocols The subprotocols to offer, best first.
 * @returns The connection, and the subprotocol that the server chose.
 */
export async function dialSpdy(
  url: string,
  protocols: readonly string[],
  options: StreamingClientOptions,
): Promise<{ readonly socket: Duplex; readonly protocol: string }> {
  return await dialed(url, options, async (signal) => {
    const { socket, head, response } = await upgraded(url, protocols, options, signal);
    if (head.length > 0) socket.unshift(head);
    return { socket, protocol: headerValues(response.headers[protocolHeader])[0] ?? "" };
  });
}

/**
 * Opens a WebSocket.
 * @returns The WebSocket, paused so that no early message is lost, and the subprotocol that the server chose.
 */
export async function dialWebSocket(
  url: string,
  protocols: readonly string[],
  options: StreamingClientOptions,
): Promise<{ readonly socket: WebSocket; readonly protocol: string }> {
  return await dialed(url, options, async (signal) => {
    const { headers, tls } = options;
    // `ws` allows no slash in a subprotocol, but Kubernetes' tunnel has one: `ws` gets neither the offer nor the answer.
    const wanted = { "Sec-WebSocket-Protocol": protocols.join(", ") };
    const socket = new WebSocket(url.replace(/^http/, "ws"), {
      ...tlsOf(tls),
      headers: { ...headers, ...wanted },
    });
    signal.addEventListener("abort", () => {
      socket.terminate();
    });
    let protocol = "";
    socket.once("upgrade", ({ headers: answer }) => {
      protocol = answer["sec-websocket-protocol"] ?? "";
      delete answer["sec-websocket-protocol"];
    });
    return await new Promise((resolve, reject) => {
      socket.once("error", reject).once("open", () => {
        socket.off("error", reject);
        socket.pause();
        resolve({ socket, protocol });
      });
      socket.once("unexpected-response", (_request, response: IncomingMessage) => {
        refusal(url, response).then(reject, reject);
      });
    });
  });
}

/** A WebSocket's messages as one stream of bytes. */
export function tunnelOf(socket: WebSocket): Duplex {
  return createWebSocketStream(socket);
}

async function dialed<T>(
  url: string,
  { deadlineMs = defaultDeadlineMs, signal }: StreamingClientOptions,
  dial: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await withDeadline("connecting to a streaming URL", { deadlineMs, signal }, dial);
  } catch (cause) {
    if (cause instanceof ShimError) throw cause;
    throw new ShimError("unavailable", `cannot connect to ${hostOf(url)}: ${String(cause)}`, { cause });
  }
}

function upgraded(
  url: string,
  protocols: readonly string[],
  { headers, tls }: StreamingClientOptions,
  signal: AbortSignal,
): Promise<{ socket: Duplex; head: Buffer; response: IncomingMessage }> {
  const send = url.startsWith("https:") ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(url, {
      method: "POST",
      signal,
      ...tlsOf(tls),
      headers: {
        ...headers,
        Connection: "Upgrade",
        Upgrade: spdyUpgrade,
        [protocolHeader]: [...protocols],
      },
    });
    request.on("error", reject);
    request.on("upgrade", (response, socket, head) => {
      resolve({ socket, head, response });
    });
    request.on("response", (response) => {
      refusal(url, response).then(reject, reject);
    });
    request.end();
  });
}

const refusalKinds: ReadonlyMap<number, ErrorKind> = new Map([
  [403, "permission-denied"],
  [404, "not-found"],
  [503, "unavailable"],
]);

async function refusal(url: string, response: IncomingMessage): Promise<ShimError> {
  const { statusCode = 0 } = response;
  const why = (await readText(response).catch(() => "")).trim().slice(0, 500);
  return new ShimError(
    refusalKinds.get(statusCode) ?? "failed-precondition",
    `${hostOf(url)} answered ${statusCode} instead of an upgrade: ${why}`,
  );
}

function tlsOf(tls: StreamingClientOptions["tls"]) {
  return { ca: tls?.ca, cert: tls?.cert, key: tls?.key };
}

/** The URL contains a token, which must not be logged. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "the streaming URL";
}
