import { ShimError } from "../../../base/index.js";

/**
 * A path of parts with any content.
 * @throws ShimError "invalid-argument" for a part that Docker would not find again in the path.
 */
export function pathOf(operation: string, ...parts: readonly string[]): string {
  return parts.map((part) => `/${segment(operation, part)}`).join("");
}

/** The path of an image: the slashes of its name stay, as Docker's routes want them. */
export function imagePath(operation: string, reference: string, action?: string): string {
  const name = reference.split("/").map((part) => segment(operation, part));
  return ["/images", ...name, ...(action === undefined ? [] : [action])].join("/");
}

/**
 * Docker's `detachKeys`, which it cannot do without: in a terminal it holds back the first key until it knows the next,
 * and the whole sequence ends the session. Its default begins with Ctrl-P, which shells and editors use. This one begins
 * with Ctrl-^, which they hardly do, and is never typed to its end.
 * @see Docker Engine API, ContainerExec, ContainerAttach
 */
export const detachKeys = "ctrl-^,ctrl-@,ctrl-^,ctrl-@,ctrl-^,ctrl-@,ctrl-^,ctrl-@";

/** Docker's `filters` parameter. */
export function encodeFilters(filters: Readonly<Record<string, readonly string[]>>): string {
  return JSON.stringify(filters);
}

/** Docker's `since` parameter: seconds with nine decimals. */
export function encodeTime(nanos: bigint): string {
  const whole = nanos < 0n ? 0n : nanos;
  return `${whole / 1_000_000_000n}.${(whole % 1_000_000_000n).toString().padStart(9, "0")}`;
}

function segment(operation: string, part: string): string {
  if (part === "" || part === "." || part === ".." || part.includes("\0"))
    throw new ShimError("invalid-argument", `${operation}: "${part}" is not allowed in a Docker name`, {
      operation,
    });
  try {
    // A colon is allowed in a path, and makes errors easier to read.
    return encodeURIComponent(part).replaceAll("%3A", ":");
  } catch (error) {
    throw new ShimError("invalid-argument", `${operation}: a name is not well-formed Unicode`, {
      operation,
      cause: error,
    });
  }
}
