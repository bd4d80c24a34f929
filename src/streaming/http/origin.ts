import type { IncomingMessage } from "node:http";

/**
 * Checks the Origin of a WebSocket request. Browsers always send it, and foreign pages must be refused. Requests of
 * other programs with an Origin come through the API server and kubelet, which add X-Forwarded-For; no page can set it.
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
