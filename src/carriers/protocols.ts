/**
 * The subprotocols of exec and attach, best first.
 * @see k8s.io/apimachinery/pkg/util/remotecommand
 */
export const remoteCommandProtocols = [
  "v5.channel.k8s.io",
  "v4.channel.k8s.io",
  "v3.channel.k8s.io",
  "v2.channel.k8s.io",
  "channel.k8s.io",
] as const;

export type RemoteCommandProtocol = (typeof remoteCommandProtocols)[number];

/** The subprotocol of port-forward over SPDY. */
export const portForwardProtocol = "portforward.k8s.io";

/** SPDY with port-forward, tunneled in WebSocket messages. */
export const tunnelProtocol = "SPDY/3.1+portforward.k8s.io";

/** The headers in which the two sides of an upgrade to SPDY name subprotocols. */
export const protocolHeader = "x-stream-protocol-version";
export const acceptedProtocolsHeader = "x-accepted-stream-protocol-versions";

/** The value of `Upgrade` for SPDY. */
export const spdyUpgrade = "SPDY/3.1";

/** The headers of a SPDY stream. */
export const streamHeaders = { type: "streamtype", port: "port", requestId: "requestid" } as const;

/** The channels of a WebSocket of exec or attach; the names are those of SPDY's streams. */
export const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;

export type StreamName = keyof typeof channels;

/** The first byte of a message of v5 that closes the channel named by the second. */
export const closeSignal = 255;

/** The comma-separated values of a header, which may occur several times. */
export function headerValues(header: string | readonly string[] | undefined): string[] {
  const text = typeof header === "string" ? header : (header?.join(",") ?? "");
  return text
    .split(",")
    .map((value) => value.trim())
    .filter((value) => value !== "");
}
