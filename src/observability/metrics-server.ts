import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { listenOn, ShimError, type Logger } from "../base/index.js";
import { formatBindAddress, parseBindAddress } from "../config/index.js";

const path = "/metrics";
/** A scraper sends its request, and takes its answer, within this time. */
const scrapeMs = 10_000;
const maxHeaderBytes = 8 * 1024;
const maxConnections = 32;

/** A server of metrics. */
export interface MetricsServer {
  /** `http://127.0.0.1:9323/metrics` */
  readonly url: string;
  close(): void;
}

export interface MetricsServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly contentType: string;
  /** The metrics in Prometheus' text format. */
  readonly read: () => Promise<string>;
  readonly log: Logger;
  /** Closes the connection of a scraper that has not taken its answer by then; 10 s by default. */
  readonly scrapeMs?: number;
}

/**
 * Serves metrics at `/metrics`, by GET and HEAD.
 * @throws ShimError "already-exists" when the port is taken; "failed-precondition" for an address that the node has not.
 */
export async function serveMetrics(options: MetricsServerOptions): Promise<MetricsServer> {
  const { address, log } = options;
  const limits = {
    headersTimeout: scrapeMs,
    requestTimeout: scrapeMs,
    maxHeaderSize: maxHeaderBytes,
    connectionsCheckingInterval: 1_000,
  };
  const server = createServer(limits, (request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      log.error({ err: error }, "could not collect the metrics");
      response.destroy();
    });
  });
  server.maxConnections = maxConnections;
  // Requests that are sent without waiting for an answer must not each read the metrics.
  server.maxRequestsPerSocket = 1;
  const bound = await listen(server, address);
  server.on("error", (error) => {
    log.error({ err: error }, "could not accept a scraper");
  });
  return {
    url: `http://${formatBindAddress({ host: bound.address, port: bound.port })}${path}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: MetricsServerOptions,
): Promise<void> {
  const deadline = setTimeout(() => response.destroy(), options.scrapeMs ?? scrapeMs);
  response.once("close", () => {
    clearTimeout(deadline);
  });
  const refuse = (status: number, text: string) => {
    response.writeHead(status, { "Content-Type": "text/plain" }).end(`${text}\n`);
  };
  const [asked] = (request.url ?? "").split("?");
  if (asked !== path) {
    refuse(404, `not found: the metrics are at ${path}`);
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    refuse(405, "use GET");
  } else {
    const text = await options.read();
    response.writeHead(200, { "Content-Type": options.contentType }).end(text);
  }
}

async function listen(server: Server, address: string): Promise<AddressInfo> {
  const where = parseBindAddress(address);
  if (!where) throw new ShimError("invalid-argument", `metrics: "${address}" is not host:port`);
  return await listenOn(server, where, `metrics: cannot listen on ${address}`);
}
