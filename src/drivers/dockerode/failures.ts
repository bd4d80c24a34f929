/** An answer that does not conform to Docker's API. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** An answer that ended too early. */
export class Truncated extends Error {
  override readonly name = "Truncated";
}

/** An error that dockerd wrote into a running stream. */
export class DaemonError extends Error {
  override readonly name = "DaemonError";
}
