import { createClient, type Client, type Transport } from "@connectrpc/connect";
import { ImageService, RuntimeService } from "../gen/runtime/v1/api_pb.js";
import { reliable } from "./reliable.js";
import { endingStreams } from "./streams.js";
import { openTransport, type ClientTls, type OpenTransport } from "./transport.js";

export type { ClientTls } from "./transport.js";

/** How to reach a CRI runtime. */
export interface ClientOptions {
  /** `unix:///path` or `tcp://host:port`. */
  readonly endpoint: string;
  /** Where ImageService is served, if elsewhere. */
  readonly imageEndpoint?: string | undefined;
  /** The deadline of a unary call without one of its own, in milliseconds; 120,000 by default, as in kubelet. */
  readonly requestTimeoutMs?: number | undefined;
  /** Uses TLS on `tcp://` endpoints. */
  readonly tls?: ClientTls | undefined;
}

/** Typed clients of both services. */
export interface Clients extends Disposable {
  readonly runtime: Client<typeof RuntimeService>;
  readonly images: Client<typeof ImageService>;

  /**
   * Ends calls under way with CANCELLED and closes the connections. A transport that was passed in stays open. A later
   * call connects again.
   */
  close(): void;
}

const defaultRequestTimeoutMs = 120_000;

/**
 * Creates clients of a CRI runtime, this shim or another, over gRPC or over an existing transport.
 * They connect at the first call, and reconnect after a restart of the server. Streams have no deadline,
 * and leaving their loop ends the call. Errors are ConnectErrors with the server's gRPC code.
 * @throws ShimError "invalid-argument" for an endpoint of another form.
 */
export function createClients(target: Transport | ClientOptions): Clients {
  if (isTransport(target)) return clientsOf(target, target, []);
  const { endpoint, imageEndpoint, requestTimeoutMs = defaultRequestTimeoutMs, tls } = target;
  const runtime = openTransport(endpoint, tls);
  const images = imageEndpoint === undefined ? runtime : openTransport(imageEndpoint, tls);
  return clientsOf(
    reliable(runtime.transport, requestTimeoutMs),
    reliable(images.transport, requestTimeoutMs),
    [runtime, images],
  );
}

function isTransport(target: Transport | ClientOptions): target is Transport {
  return "unary" in target;
}

function clientsOf(runtime: Transport, images: Transport, owned: readonly OpenTransport[]): Clients {
  const close = () => {
    for (const transport of owned) transport.close();
  };
  return {
    runtime: endingStreams(RuntimeService, createClient(RuntimeService, runtime)),
    images: endingStreams(ImageService, createClient(ImageService, images)),
    close,
    [Symbol.dispose]: close,
  };
}
