import { randomBytes } from "node:crypto";
import { ShimError } from "../base/index.js";

export interface TokenLimits {
  /** How long a token is valid. */
  readonly lifeMs: number;
  /** How many tokens may be unused. */
  readonly maxUnused: number;
}

/** The request that a URL belongs to. */
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

/** Requests that wait for their client, each with a token of 128 random bits that can be used once. */
export class Tokens {
  private readonly waiting = new Map<string, { readonly target: Target; readonly untilMs: number }>();

  constructor(private readonly limits: TokenLimits) {}

  /** @throws ShimError "resource-exhausted" when too many tokens are unused. */
  issue(target: Target): string {
    this.dropExpired();
    if (this.waiting.size >= this.limits.maxUnused)
      throw new ShimError(
        "resource-exhausted",
        `${this.limits.maxUnused} streaming URLs are waiting for their clients: try again in a minute`,
      );
    const token = randomBytes(tokenBytes).toString("base64url");
    this.waiting.set(token, { target, untilMs: performance.now() + this.limits.lifeMs });
    return token;
  }

  /** The request of a token; undefined for a token that is used, expired, unknown or of another kind. */
  find(kind: string, token: string): Target | undefined {
    const found = this.waiting.get(token);
    if (found?.target.kind !== kind || found.untilMs < performance.now()) return undefined;
    return found.target;
  }

  /** Invalidates the token. */
  use(token: string): void {
    this.waiting.delete(token);
  }

  /** A map keeps the order of insertion, and all tokens have the same lifetime: the oldest are first. */
  private dropExpired(): void {
    const now = performance.now();
    for (const [token, { untilMs }] of this.waiting) {
      if (untilMs >= now) return;
      this.waiting.delete(token);
    }
  }
}
