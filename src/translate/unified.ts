import { invalid, quote, unsupported } from "./checks.js";
import type { EngineEnvironment } from "./environment.js";

export const swapFile = "memory.swap.max";
const oomGroupFile = "memory.oom.group";

/**
 * Checks the files of cgroup v2 that a request wants written. Docker writes none by name, so only those pass
 * that say something Docker can be told (`memory.swap.max`), and `memory.oom.group`, which the kubelet sends
 * with every container: without it the kernel kills one process of a container that is out of memory, as
 * it does on cgroup v1.
 * @throws ShimError "unsupported" naming the file; "invalid-argument" for a bad value.
 */
export function checkUnified(unified: Readonly<Record<string, string>>, env: EngineEnvironment): void {
  for (const [file, value] of Object.entries(unified)) {
    const field = `resources.unified[${quote(file)}]`;
    if (env.cgroupVersion === 1) {
      throw unsupported(field, "is a file of cgroup v2, but this node has cgroup v1");
    }
    if (file === oomGroupFile) {
      if (!/^[01]$/.test(value)) throw invalid(field, `must be 0 or 1, but is ${quote(value)}`);
    } else if (file !== swapFile) {
      throw unsupported(
        field,
        `cannot be set through Docker, which takes only ${swapFile} and ${oomGroupFile}: leave it out ` +
          `(the kubelet sends memory.min and memory.high with the feature gate MemoryQoS)`,
      );
    }
  }
}

/**
 * The swap that `memory.swap.max` allows beside memory, in bytes; "max" for all there is, undefined when
 * nothing is said.
 * @throws ShimError "invalid-argument"
 */
export function unifiedSwap(unified: Readonly<Record<string, string>>): number | "max" | undefined {
  const text = unified[swapFile];
  if (text === undefined || text === "max") return text;
  const [, digits, unit = ""] = /^(\d{1,16})([kKmMgGtT]?)$/.exec(text.trim()) ?? [];
  const bytes = Number(digits) * 1024 ** " kmgt".indexOf(unit.toLowerCase() || " ");
  if (Number.isSafeInteger(bytes)) return bytes;
  throw invalid(`resources.unified["${swapFile}"]`, `is not a number of bytes or "max": ${quote(text)}`);
}
