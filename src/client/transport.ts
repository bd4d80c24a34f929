import type { ClientHttp2Stream, Http2Session } from "node:http2";
import { connect } from "node:net";
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { parseEndpoint, type Endpoint } from "../base/index.js";

/** The client's certificate and the trusted authorities, as PEM. */
export interface ClientTls {
  /** The authorities for the server's certificate; the public ones by default. */
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  /** The name in the server's certificate, where it is not the endpoint's host. */
  readonly serverName?: string | undefined;
}

/** A transport with a connection of its own. */
export interface OpenTransport {
  readonly transport: Transport;
  /** Ends calls under way with CANCELLED and closes the connection. */
  close(): void;
}

/** kubelet's limit for one message. */
const maxMessageBytes = 16 * 1024 * 1024;
/** A connection that was idle for longer is checked with a ping before the next call. */
const verifyAfterMs = 30_000;
const pingTimeoutMs = 5_000;
/** Node's 10 MiB would fail calls while a large request is on its way. */
const maxSessionMemoryMiB = 256;

/**
 * gRPC to an endpoint. It connects at the first call, and again at the next call after the server has closed
 * the connection or restarted.
 * @throws ShimError "invalid-argument" for an endpoint of another form.
 */
export function openTransport(
  endpointText: string,
  tls: ClientTls | undefined,
  pings = { pingIntervalMs: verifyAfterMs, pingTimeoutMs },
): OpenTransport {
  const endpoint = parseEndpoint(endpointText);
  const baseUrl = baseUrlOf(endpoint, tls !== undefined);
  const sessions = new ClientSessions(baseUrl, pings, {
    maxSessionMemory: maxSessionMemoryMiB,
    ...(endpoint.kind === "unix" ? { createConnection: () => connect(endpoint.path) } : tlsOptions(tls)),
  });
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager: sessions,
    readMaxBytes: maxMessageBytes,
    acceptCompression: [],
  });
  return {
    transport,
    close: () => {
      // A caller may close in reaction to a failed call, which is inside nghttp2's own callback: resetting the
      // other calls from there can make Node 20's http2 write in an infinite loop.
      setImmediate(() => {
        sessions.abort();
      });
    },
  };
}

/**
 * connect-node removes its error listener when it abandons a session, but its PING may time out after that: the
 * unhandled error would end the process. The calls on the session fail with it in any case.
 * @see connect-es issues 1143 and 1795
 */
class ClientSessions extends Http2SessionManager {
  private readonly seen = new WeakSet<Http2Session>();

  override async request(...request: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...request);
    const { session } = stream;
    if (session && !this.seen.has(session)) {
      this.seen.add(session);
      session.on("error", () => undefined);
    }
    return stream;
  }
}

function baseUrlOf(endpoint: Endpoint, secure: boolean): string {
  if (endpoint.kind === "unix") return "http://localhost";
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return `${secure ? "https" : "http"}://${host}:${endpoint.port}`;
}

function tlsOptions(tls: ClientTls | undefined) {
  return tls
    ? {
        ...(tls.ca === undefined ? undefined : { ca: tls.ca }),
        ...(tls.cert === undefined ? undefined : { cert: tls.cert }),
        ...(tls.key === undefined ? undefined : { key: tls.key }),
        ...(tls.serverName === undefined ? undefined : { servername: tls.serverName }),
      }
    : {};
}
