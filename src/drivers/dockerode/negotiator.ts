import type { ApiVersion } from "./api-version.js";

/** Remembers the API version for as long as the connection lives; callers who wait share one question. */
export class Negotiator {
  #answer: Promise<ApiVersion> | undefined;

  /** @param ask Asks the engine. A failure is not remembered. */
  constructor(private readonly ask: () => Promise<ApiVersion>) {}

  async version(): Promise<ApiVersion> {
    const answer = (this.#answer ??= this.ask());
    try {
      return await answer;
    } catch (error) {
      if (this.#answer === answer) this.#answer = undefined;
      throw error;
    }
  }

  /** The connection was lost: whoever answers next may be another engine. */
  forget(): void {
    this.#answer = undefined;
  }
}
