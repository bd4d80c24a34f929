import { ShimError } from "../base/index.js";

/** The limit for the requests of all calls under way, compressed and decompressed: eight of the largest. */
const maxBytes = 128 * 1024 * 1024;

/** The bytes of the requests that one server holds. */
export class HeldBytes {
  private total = 0;

  /** Opens the account of one call. */
  open(): Hold {
    let held = 0;
    return {
      add: (bytes) => {
        if (this.total + bytes > maxBytes) throw tooManyBytes();
        this.total += bytes;
        held += bytes;
      },
      release: () => {
        this.total -= held;
        held = 0;
      },
    };
  }
}

/** The bytes that one call holds. */
export interface Hold {
  /** @throws ShimError "resource-exhausted" when all calls together would hold more than 128 MiB. */
  add(bytes: number): void;
  /** Releases all bytes of the call. Idempotent. */
  release(): void;
}

function tooManyBytes(): ShimError {
  return new ShimError(
    "resource-exhausted",
    `all open requests together would exceed ${maxBytes} bytes: try again later`,
  );
}
