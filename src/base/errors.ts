import { withoutCredentials } from "./redact.js";

/**
 * The kinds of failure. `rpc/` maps each to one gRPC code; nothing else looks at
 * a status code or matches an error text.
 */
export type ErrorKind =
  /** The request itself is wrong, whatever the state of the node. */
  | "invalid-argument"
  /** The thing named does not exist. */
  | "not-found"
  /** The thing to create already exists. */
  | "already-exists"
  /** The thing is in use, or its name is taken: a later retry may help. */
  | "conflict"
  /** The thing is not in a state that allows the operation. */
  | "failed-precondition"
  | "permission-denied"
  | "unauthenticated"
  /** A limit was reached: message size, disk space, number of streams. */
  | "resource-exhausted"
  /** Docker, or the inventory, cannot answer now; a retry is right. */
  | "unavailable"
  /** A registry of images, not Docker, cannot be reached or answers 5xx; kubelet knows this failure by its text. */
  | "registry-unavailable"
  /** The request is valid CRI, but this engine, kernel or version cannot do it. */
  | "unsupported"
  | "deadline-exceeded"
  | "cancelled"
  /** A bug, or a malformed answer. */
  | "internal";

/** The one error type of docker-cri: what kind of failure, of which operation, and what caused it. */
export class ShimError extends Error {
  override readonly name = "ShimError";

  /**
   * @param kind What went wrong, for code.
   * @param message The request, the answer, and the remedy.
   * @param options.operation The port's method that failed, such as `containers.start`.
   * @param options.cause The underlying error.
   */
  constructor(
    readonly kind: ErrorKind,
    message: string,
    options: { operation?: string; cause?: unknown } = {},
  ) {
    super(withoutCredentials(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.operation = options.operation;
  }

  /** The port's method that failed, where one did. */
  readonly operation: string | undefined;
}

/** True when `error` is a {@link ShimError} of one of the kinds. */
export function isKind(error: unknown, ...kinds: readonly ErrorKind[]): error is ShimError {
  return error instanceof ShimError && kinds.includes(error.kind);
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
