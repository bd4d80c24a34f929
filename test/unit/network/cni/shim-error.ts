import { ShimError, type ErrorKind } from "../../../../src/base/index.js";

export function isShimError(error: unknown, kind: ErrorKind): boolean {
  return error instanceof ShimError && error.kind === kind;
}
