import { ShimError } from "./errors.js";

/** Where a server listens or a client connects. */
export type Endpoint =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/**
 * Reads `unix:///absolute/path` or `tcp://host:port` (an IPv6 address in brackets).
 * @throws ShimError "invalid-argument" that shows the text and the two forms.
 */
export function parseEndpoint(text: string): Endpoint {
  const path = /^unix:\/\/(\/[^\0]*[^/\0])$/.exec(text)?.[1];
  if (path !== undefined) return { kind: "unix", path };
  const address = /^tcp:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([^/:@[\]\s]+)):(\d{1,5})$/.exec(text);
  const host = address?.[1] ?? address?.[2];
  const port = Number(address?.[3]);
  if (host !== undefined && port <= 65_535) return { kind: "tcp", host, port };
  throw new ShimError(
    "invalid-argument",
    `endpoint ${JSON.stringify(text)}: write unix:///absolute/path or tcp://host:port`,
  );
}

/** The text that {@link parseEndpoint} reads. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === "unix") return `unix://${endpoint.path}`;
  const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
  return `tcp://${host}:${endpoint.port}`;
}
