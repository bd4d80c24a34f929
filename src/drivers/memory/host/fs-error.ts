import { constants } from "node:os";

const texts: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EEXIST: "file already exists",
  ENOTDIR: "not a directory",
  EISDIR: "illegal operation on a directory",
  ENOTEMPTY: "directory not empty",
  EINVAL: "invalid argument",
  ELOOP: "too many symbolic links encountered",
  ENOSPC: "no space left on device",
  EMFILE: "too many open files",
  ENAMETOOLONG: "name too long",
  EROFS: "read-only file system",
  EACCES: "permission denied",
  EIO: "input/output error",
  EADDRINUSE: "address already in use",
  ECONNREFUSED: "connection refused",
};

const numbers: Readonly<Record<string, number>> = constants.errno;

/** An error in the form of Node's file functions: code, errno, system call and path. */
export function fsError(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: ${texts[code] ?? "failed"}, ${syscall} '${path}'`);
  error.code = code;
  error.syscall = syscall;
  error.path = path;
  const number = numbers[code];
  if (number !== undefined) error.errno = -number;
  return error;
}
