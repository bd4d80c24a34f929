import { ShimError } from "../base/index.js";

/** Quotes request text for an error message, truncated to 120 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}

/** The error for a value that violates the CRI contract. */
export function invalid(field: string, problem: string): ShimError {
  return new ShimError("invalid-argument", `${field} ${problem}`);
}

/** The error for a value that is valid CRI, but not supported by this engine or node. */
export function unsupported(field: string, problem: string): ShimError {
  return new ShimError("unsupported", `${field} ${problem}`);
}

/** PATH_MAX of Linux, with the terminating NUL. */
const maxPathLength = 4096;

/** Checks the length of a path. @throws ShimError "invalid-argument" naming the field. */
export function boundedPath(path: string, field: string): string {
  if (path.length >= maxPathLength)
    throw invalid(
      field,
      `has ${path.length} characters, but a path in Linux must have fewer than ${maxPathLength}`,
    );
  return path;
}

/** Checks that a path is absolute and has no NUL bytes. @throws ShimError "invalid-argument" naming the field. */
export function absolutePath(path: string, field: string): string {
  boundedPath(path, field);
  if (!path.startsWith("/")) throw invalid(field, `must be an absolute path, but is ${quote(path)}`);
  return withoutNul(path, field);
}

/** Checks that text has no NUL bytes: the kernel would truncate it there. */
export function withoutNul(text: string, field: string): string {
  if (text.includes("\0")) throw invalid(field, `contains a NUL byte: ${quote(text)}`);
  return text;
}

/**
 * Converts a 64-bit integer to a JavaScript number.
 * @throws ShimError "invalid-argument" when it is out of bounds or not a safe integer.
 */
export function integer(
  value: bigint,
  field: string,
  {
    min = BigInt(Number.MIN_SAFE_INTEGER),
    max = BigInt(Number.MAX_SAFE_INTEGER),
  }: { min?: bigint; max?: bigint } = {},
): number {
  if (value < min || value > max) throw invalid(field, `is ${value}, but must be between ${min} and ${max}`);
  return Number(value);
}

/** Checks a uid or gid. @throws ShimError "invalid-argument" */
export function userOrGroupId(value: bigint, field: string): string {
  return String(integer(value, field, { min: 0n, max: 2_147_483_647n }));
}

/** The error for an enum value that CRI v1 does not define. */
export function unknownValue(field: string, value: number): ShimError {
  return invalid(field, `has the value ${value}, which CRI v1 does not define`);
}

/** Checks that a required message is set. @throws ShimError "invalid-argument" */
export function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw invalid(field, "is missing");
  return value;
}
