import { ShimError } from "../base/index.js";

/** A text of a request as errors show it: quoted, and cut where it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}

/** The error for a field whose value is wrong whatever the node can do. */
export function invalid(field: string, problem: string): ShimError {
  return new ShimError("invalid-argument", `${field} ${problem}`);
}

/** The error for a field whose value is valid CRI, but beyond this engine or node. */
export function unsupported(field: string, problem: string): ShimError {
  return new ShimError("unsupported", `${field} ${problem}`);
}

/** Linux takes no longer path. */
const maxPathLength = 4096;

/** A path that Linux may take. @throws ShimError "invalid-argument" naming the field. */
export function boundedPath(path: string, field: string): string {
  if (path.length >= maxPathLength)
    throw invalid(
      field,
      `has ${path.length} characters, and Linux takes fewer than ${maxPathLength} in a path`,
    );
  return path;
}

/** An absolute path without NUL bytes. @throws ShimError "invalid-argument" naming the field. */
export function absolutePath(path: string, field: string): string {
  boundedPath(path, field);
  if (!path.startsWith("/")) throw invalid(field, `must be an absolute path, but is ${quote(path)}`);
  return withoutNul(path, field);
}

/** A text without NUL bytes, which would end it early on the way to the kernel. */
export function withoutNul(text: string, field: string): string {
  if (text.includes("\0")) throw invalid(field, `holds a NUL byte: ${quote(text)}`);
  return text;
}

/**
 * A 64-bit number as a JavaScript number.
 * @throws ShimError "invalid-argument" when it lies outside the bounds, or cannot be held exactly.
 */
export function integer(
  value: bigint,
  field: string,
  {
    min = BigInt(Number.MIN_SAFE_INTEGER),
    max = BigInt(Number.MAX_SAFE_INTEGER),
  }: { min?: bigint; max?: bigint } = {},
): number {
  if (value < min || value > max) throw invalid(field, `is ${value}, but must lie between ${min} and ${max}`);
  return Number(value);
}

/** A uid or gid. @throws ShimError "invalid-argument" */
export function userOrGroupId(value: bigint, field: string): string {
  return String(integer(value, field, { min: 0n, max: 2_147_483_647n }));
}

/** The message for an enum value that CRI v1 does not know. */
export function unknownValue(field: string, value: number): ShimError {
  return invalid(field, `has the value ${value}, which CRI v1 does not know`);
}

/** A message that a request must bring. @throws ShimError "invalid-argument" when it is absent. */
export function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw invalid(field, "is missing");
  return value;
}
