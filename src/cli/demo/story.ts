import type { Writable } from "node:stream";
import { say } from "../io.js";

/** Prints the demo step by step: the call, its result, and its duration. */
export class Story {
  private steps = 0;

  constructor(private readonly out: Writable) {}

  /** A line between the steps. */
  say(line = ""): void {
    say(this.out, line);
  }

  /** Makes one call and prints the lines that `describe` returns for its answer, all but the first indented. */
  async step<T>(
    call: string,
    made: Promise<T>,
    describe: (answer: T) => string | readonly string[],
  ): Promise<T> {
    const began = performance.now();
    const answer = await made;
    const took = `${Math.max(1, Math.round(performance.now() - began))} ms`;
    const [first = "", ...more] = [describe(answer)].flat();
    this.steps++;
    this.say(`${String(this.steps).padStart(3)}  ${call.padEnd(18)}  ${took.padStart(6)}   ${first}`);
    for (const line of more) this.say(" ".repeat(34) + line);
    return answer;
  }
}
