/** How often a client is asked for a sign of life. One that has vanished while we send nothing shows itself by that. */
const pingMs = 15_000;

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
