import type { IncomingMessage } from "node:http";

/**
 * Checks the Origin of a WebSocket request. Browsers send it for every page, and
 * foreign pages must be refused. Programs that send it too come through the API server and the kubelet, which
 * leave a header that no page can set.
 */
export function isAllowedOrigin({ headers }: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = headers;
  if (origin === undefined || headers["x-forwarded-for"] !== undefined || allowed.includes(origin))
    return true;
  try {
    return new URL(origin).host === host;
  } catch {
    return false;
  }
}
