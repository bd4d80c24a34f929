import { randomBytes } from "node:crypto";
import { ShimError } from "../base/index.js";

export interface TokenLimits {
  /** How long a token is good. */
  readonly lifeMs: number;
  /** How many may wait to be used. */
  readonly most: number;
}

/** What a URL that was handed out stands for. */
export type Target =
  | {
      readonly kind: "exec";
      readonly containerId: string;
      readonly command: readonly string[];
      readonly streams: WantedStreams;
    }
  | { readonly kind: "attach"; readonly containerId: string; readonly streams: WantedStreams }
  | { readonly kind: "portforward"; readonly podId: string; readonly ports: readonly number[] };

export interface WantedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

const tokenBytes = 16;

/** Requests that wait for their client, each under a token of 128 random bits that is good once. */
export class Tokens {
  private readonly waiting = new Map<string, { readonly target: Target; readonly untilMs: number }>();

  constructor(private readonly limits: TokenLimits) {}

  /** @throws ShimError "resource-exhausted" when too many wait. */
  issue(target: Target): string {
    this.dropExpired();
    if (this.waiting.size >= this.limits.most)
      throw new ShimError(
        "resource-exhausted",
        `${this.limits.most} streaming requests wait for their clients: try again in a minute`,
      );
    const token = randomBytes(tokenBytes).toString("base64url");
    this.waiting.set(token, { target, untilMs: performance.now() + this.limits.lifeMs });
    return token;
  }

  /** What a token stands for; undefined when it is of another kind, used, expired, or none of ours. */
  find(kind: string, token: string): Target | undefined {
    const found = this.waiting.get(token);
    if (found?.target.kind !== kind || found.untilMs < performance.now()) return undefined;
    return found.target;
  }

  /** The token is good no more. */
  use(token: string): void {
    this.waiting.delete(token);
  }

  /** The oldest come first: they were put in first, and all live equally long. */
  private dropExpired(): void {
    const now = performance.now();
    for (const [token, { untilMs }] of this.waiting) {
      if (untilMs >= now) return;
      this.waiting.delete(token);
    }
  }
}
