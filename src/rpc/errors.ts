import { randomBytes } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeOf, isKind, ShimError, type ErrorKind } from "../base/index.js";

/** The gRPC code of each kind of failure. No other file maps kinds to codes. */
const codes: Readonly<Record<ErrorKind, Code>> = {
  "invalid-argument": Code.InvalidArgument,
  "not-found": Code.NotFound,
  "already-exists": Code.AlreadyExists,
  conflict: Code.Aborted,
  "failed-precondition": Code.FailedPrecondition,
  "permission-denied": Code.PermissionDenied,
  unauthenticated: Code.Unauthenticated,
  "resource-exhausted": Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  // kubelet compares the prefix of the text, and only with this code it gets the text unchanged.
  "registry-unavailable": Code.Unknown,
  unsupported: Code.Unimplemented,
  "deadline-exceeded": Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  internal: Code.Internal,
};

/** gRPC sends the message in a header, and clients limit the size of headers. */
const maxMessageLength = 4096;

/** How a call failed. */
export interface Failure {
  /** The error for the caller. */
  readonly error: ConnectError;
  /** The original error. */
  readonly cause: unknown;
  /** Identifies an internal error, in the caller's message and in the log. */
  readonly errorId?: string;
}

/**
 * Maps any error to the caller's. An error other than a ShimError becomes INTERNAL with an id
 * instead of its text, which may contain secrets.
 * @param aborted The reason of the call's abort: an error that only reports the abort gets the reason's code.
 */
export function failureOf(thrown: unknown, aborted: ShimError | undefined): Failure {
  const cause = aborted && saysAborted(thrown) ? aborted : thrown;
  if (cause instanceof ConnectError) return { error: tidied(cause), cause };
  if (cause instanceof ShimError && cause.kind !== "internal") {
    return { error: new ConnectError(tidy(cause.message), codes[cause.kind]), cause };
  }
  const errorId = randomBytes(6).toString("hex");
  // Of Node's own errors only the code is safe to show, such as ENOSPC.
  const code = codeOf(cause);
  const hidden = code === undefined ? "internal error" : `internal error ${code}`;
  const what = cause instanceof ShimError ? cause.message : hidden;
  const message = `${tidy(what)} (error id ${errorId}: see docker-cri's log)`;
  return { error: new ConnectError(message, Code.Internal), cause, errorId };
}

/** The {@link ShimError} for one of Connect's own errors; any other error is "cancelled". */
export function shimErrorOf(error: unknown, operation: string): ShimError {
  const code = error instanceof ConnectError ? error.code : Code.Canceled;
  if (code === Code.DeadlineExceeded) return deadlinePassed(operation);
  if (code === Code.Unavailable) return serverClosing(operation);
  return callerGone(operation);
}

export function deadlinePassed(operation: string): ShimError {
  return new ShimError("deadline-exceeded", `${operation}: the caller's deadline has passed`, { operation });
}

export function callerGone(operation: string): ShimError {
  return new ShimError("cancelled", `${operation}: the caller disconnected`, { operation });
}

export function serverClosing(operation: string): ShimError {
  return new ShimError("unavailable", `${operation}: the server is shutting down; try again`, { operation });
}

/** True for errors that only report that the call was aborted. */
export function saysAborted(error: unknown): boolean {
  return isKind(error, "cancelled") || (error instanceof Error && error.name === "AbortError");
}

function tidied(error: ConnectError): ConnectError {
  const message = tidy(error.rawMessage);
  return message === error.rawMessage ? error : new ConnectError(message, error.code, error.metadata);
}

/** A text that fits into a header: of limited length and without halves of characters. */
function tidy(message: string): string {
  const bounded =
    message.length <= maxMessageLength
      ? message
      : `${message.slice(0, maxMessageLength)}… (${message.length - maxMessageLength} more characters)`;
  return bounded.replace(/\p{Surrogate}/gu, "\ufffd");
}
