import { closeSync, openSync, writeSync } from "node:fs";
import { getSystemErrorName } from "node:util";
import koffi from "koffi";

const cloneNewnet = 0x4000_0000;
const sockStream = 1;
const sockCloexec = 0o2000000;
const sockNonblock = 0o4000;
const families = { 4: 2, 6: 10 } as const;

// The C library of this process.
const libc = koffi.load(null);
const setns = libc.func("int setns(int fd, int nstype)") as (fd: number, kind: number) => number;
const socket = libc.func("int socket(int domain, int type, int protocol)") as (
  domain: number,
  type: number,
  protocol: number,
) => number;

/**
 * Creates a TCP socket inside another network namespace. This thread enters the namespace for one system call,
 * synchronously, so that no other code of the thread runs in it; other threads do not enter it. If the thread cannot
 * leave, everything would happen in the wrong network: the process is ended at once.
 * @param family 4 or 6.
 * @returns A file descriptor, which the caller must close.
 * @throws An error with the `code` of open(2), setns(2) or socket(2).
 * @see setns(2)
 */
export function socketInNamespace(namespacePath: string, family: 4 | 6): number {
  const own = openSync("/proc/thread-self/ns/net", "r");
  try {
    const other = openSync(namespacePath, "r");
    try {
      if (setns(other, cloneNewnet) !== 0) throw systemError("setns", namespacePath);
      const fd = socket(families[family], sockStream | sockCloexec | sockNonblock, 0);
      const failure = fd < 0 ? systemError("socket", namespacePath) : undefined;
      if (setns(own, cloneNewnet) !== 0) endProcess();
      if (failure) throw failure;
      return fd;
    } finally {
      closeSync(other);
    }
  } finally {
    closeSync(own);
  }
}

function endProcess(): never {
  writeSync(2, `docker-cri: ${systemError("setns", "/proc/thread-self/ns/net").message}: cannot go on\n`);
  process.abort();
}

function systemError(call: string, path: string): NodeJS.ErrnoException {
  const errno = koffi.errno();
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code}: ${call} '${path}'`), { code, errno: -errno, syscall: call, path });
}
