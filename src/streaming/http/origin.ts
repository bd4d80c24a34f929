import type { IncomingMessage } from "node:http";

/**
 * Whether a WebSocket may be opened from where the request says it comes from. Browsers say it of every page, and
 * pages of strangers are to stay out. Programs that say it too come through the API server and the kubelet, which
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
