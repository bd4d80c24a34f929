/** A wait that somebody else can end, also by having asked for it before it began. */
export class Alarm {
  private isRung = false;
  private onRing: () => void = () => undefined;

  /** Resolves after so many milliseconds, or when it rings. */
  async wait(ms: number): Promise<void> {
    if (!this.isRung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.onRing = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.isRung = false;
  }

  /** Ends the wait, or the next one. */
  ring(): void {
    this.isRung = true;
    this.onRing();
  }
}
