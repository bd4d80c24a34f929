import assert from "node:assert/strict";
import { ConnectError } from "@connectrpc/connect";

/** The error that a call ends with. */
export async function failure(work: Promise<unknown>): Promise<ConnectError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof ConnectError, `not a ConnectError: ${String(error)}`);
    return error;
  }
  throw new assert.AssertionError({ message: "the call did not fail" });
}
