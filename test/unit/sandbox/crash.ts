/** Counts the calls into the engine, the node and the network, and ends the shim's life at one of them. */
export class Crash {
  private calls = 0;
  private armed = false;
  private dead = false;

  /**
   * @param at The number of the call at which the shim dies, from 1; Infinity lets it live.
   * @param when Before the call has its effect, or after: its answer is then never heard.
   */
  constructor(
    private readonly at: number,
    private readonly when: "before" | "after",
  ) {}

  /** Begins to count. */
  arm(): void {
    this.armed = true;
  }

  get happened(): boolean {
    return this.dead;
  }

  /** The same object, whose methods, at any depth, count. A dead shim's calls reach nobody and are not answered. */
  wrap<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key);
        if (typeof value === "function")
          return this.counted(object, value as (...args: unknown[]) => unknown);
        return typeof value === "object" && value !== null ? this.wrap(value) : value;
      },
    });
  }

  private counted(object: object, method: (...args: unknown[]) => unknown) {
    return (...args: unknown[]): unknown => {
      if (this.dead) return never;
      const strikes = this.armed && ++this.calls === this.at;
      if (strikes && this.when === "before") {
        this.dead = true;
        return never;
      }
      const answer = method.apply(object, args);
      if (strikes) this.dead = true;
      if (answer instanceof Promise) return this.heard(answer);
      return strikes ? never : answer;
    };
  }

  /** An answer that a shim hears only if it still lives. */
  private async heard(answer: Promise<unknown>): Promise<unknown> {
    try {
      const value = await answer;
      return this.dead ? await never : value;
    } catch (error) {
      if (this.dead) await never;
      throw error;
    }
  }
}

const never = new Promise<never>(() => undefined);
