import { messageOf, ShimError, type ErrorKind } from "./errors.js";

const kinds: Readonly<Record<string, ErrorKind>> = {
  ENOSPC: "resource-exhausted",
  EDQUOT: "resource-exhausted",
  EMFILE: "resource-exhausted",
  ENFILE: "resource-exhausted",
  ENOMEM: "resource-exhausted",
  EACCES: "permission-denied",
  EPERM: "permission-denied",
  EROFS: "permission-denied",
};

const advices: Readonly<Record<string, string>> = {
  ENOSPC: ": free space or inodes on its file system",
  EDQUOT: ": free space within the quota",
  EMFILE: ": raise the limit of open files (LimitNOFILE) of docker-cri",
  ENFILE: ": raise the node's limit of open files (fs.file-max)",
};

/** The `code` of Node's own errors, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** An error in the form of Node's own. */
export function fileError(code: string, path: string, text: string, syscall = "open"): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${text}, ${syscall} '${path}'`), { code, path, syscall });
}

/** `EFBIG`, for a file that is larger than its reader allows. */
export function fileTooLarge(path: string, sizeBytes: number, maxBytes: number): NodeJS.ErrnoException {
  return fileError("EFBIG", path, `it has ${sizeBytes} bytes, more than the ${maxBytes} allowed`, "read");
}

/**
 * The ShimError for a failed file operation: "resource-exhausted" for a full disk and for too many open files,
 * "permission-denied", else "internal". A ShimError stays as it is.
 * @param what The operation: `writing the checkpoint /path`.
 */
export function fileFailure(what: string, error: unknown, operation?: string): ShimError {
  if (error instanceof ShimError) return error;
  const code = codeOf(error) ?? "";
  return new ShimError(kinds[code] ?? "internal", `${what}: ${messageOf(error)}${advices[code] ?? ""}`, {
    ...(operation === undefined ? {} : { operation }),
    cause: error,
  });
}

/** True for a transient failure that is not about the file itself: out of descriptors, memory or threads. */
export function isPassingFailure(error: unknown): boolean {
  if (["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"].includes(codeOf(error) ?? "")) return true;
  return error instanceof Error && isPassingFailure(error.cause);
}
