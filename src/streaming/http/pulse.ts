/**
 * How often a client is asked for a sign of life, as Kubernetes' own clients ask. One that has vanished shows itself by
 * the answer to a ping, or to the one after it, where nothing else is sent and its data waits to be read.
 */
const pingMs = 5_000;

/** Asks a session's client for signs of life, and ends a session in which nothing is sent for too long. */
export class Pulse {
  private lastMs = performance.now();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly idleTimeoutMs: number) {}

  /** Something was sent. */
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
