import type { Writable } from "node:stream";
import { say } from "../io.js";

/** Tells a life step by step: the call, what came of it, and how long it took. */
export class Story {
  private steps = 0;

  constructor(private readonly out: Writable) {}

  /** A line between the steps. */
  say(line = ""): void {
    say(this.out, line);
  }

  /** Makes one call and tells what `told` makes of its answer, a line and then indented ones. */
  async step<T>(call: string, made: Promise<T>, told: (answer: T) => string | readonly string[]): Promise<T> {
    const began = performance.now();
    const answer = await made;
    const took = `${Math.max(1, Math.round(performance.now() - began))} ms`;
    const [first = "", ...more] = [told(answer)].flat();
    this.steps++;
    this.say(`${String(this.steps).padStart(3)}  ${call.padEnd(18)}  ${took.padStart(6)}   ${first}`);
    for (const line of more) this.say(" ".repeat(34) + line);
    return answer;
  }
}
