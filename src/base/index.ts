export { AsyncQueue } from "./async-queue.js";
export { Backoff } from "./backoff.js";
export {
  abortError,
  longestTimerMs,
  settlesWithin,
  sleep,
  withDeadline,
  type CallOptions,
} from "./deadline.js";
export { deepFreeze } from "./deep-freeze.js";
export { formatEndpoint, parseEndpoint, type Endpoint } from "./endpoint.js";
export { codeOf, fileError, fileFailure, fileTooLarge, isPassingFailure } from "./file-errors.js";
export { Gate } from "./gate.js";
export { isKind, messageOf, ShimError, type ErrorKind } from "./errors.js";
export {
  familiarRepository,
  isImageId,
  normalizeReference,
  parseReference,
  type ImageReference,
} from "./image-reference.js";
export { KeyedLock } from "./keyed-lock.js";
export { listenOn } from "./listen.js";
export { Logger } from "./logger.js";
export { settleAll } from "./settle-all.js";
export {
  maxUnsentBytes,
  readItems,
  wholeChunks,
  whenSent,
  writeBatched,
  type ChunkParser,
} from "./node-streams.js";
export { onAbort } from "./on-abort.js";
export { readFileDefaults, readRegularFile, type ReadFileOptions } from "./read-file.js";
export { present } from "./present.js";
export { withoutCredentials } from "./redact.js";
export { RepeatedWarning, type WarningOfOne } from "./repeated-warning.js";
export { SingleFlight } from "./single-flight.js";
export { TlsHandshakes } from "./tls-handshakes.js";
export { excerpt, trimTrailing } from "./text.js";
export { formatRfc3339Nanos, nowNanos, parseRfc3339Nanos } from "./units.js";
export { inject, injectable, injectedTokens } from "./injection.js";
