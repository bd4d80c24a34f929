/**
 * How often a client gets a ping, as from Kubernetes' own clients. A dead connection is detected by the answer to a ping
 * or the one after it, also when nothing else is sent and the client's data waits to be read.
 */
const pingMs = 5_000;

/** Pings a session's client, and ends a session without traffic. */
export class Pulse {
  private lastMs = performance.now();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly idleTimeoutMs: number) {}

  /** Records traffic. */
  readonly beat = (): void => {
    this.lastMs = performance.now();
  };

  start({ ping, end }: { readonly ping: () => void; readonly end: () => void }): void {
    this.timer = setInterval(
      () => {
        if (performance.now() - this.lastMs >= this.idleTimeoutMs) end();
        else ping();
      },
      Math.min(pingMs, this.idleTimeoutMs),
    );
  }

  stop(): void {
    clearInterval(this.timer);
  }
}
