import assert from "node:assert/strict";
import { ShimError, type ErrorKind } from "../../../src/base/index.js";

/** Asserts that `work` throws a ShimError of a kind whose text matches. */
export function refuses(kind: ErrorKind, message: RegExp, work: () => unknown): void {
  assert.throws(work, (error: unknown) => {
    assert.ok(error instanceof ShimError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    return true;
  });
}

/** A value of an enum that this version of CRI does not know, as a newer caller could send it. */
export function unknownEnum(): never {
  return JSON.parse("99") as never;
}
