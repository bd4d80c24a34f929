/** An answer that is not what Docker's API promises. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** An answer that stopped in the middle. */
export class Truncated extends Error {
  override readonly name = "Truncated";
}

/** An error that dockerd wrote into a stream which had begun well. */
export class DaemonError extends Error {
  override readonly name = "DaemonError";
}
