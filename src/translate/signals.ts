import { Signal } from "../gen/runtime/v1/api_pb.js";
import { unknownValue } from "./validation.js";

/** The kernel's names of signals 1 to 31, in order. */
const numbered = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU " +
  "URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");
const byName = new Map(
  Object.entries(Signal).filter((entry): entry is [string, Signal] => typeof entry[1] === "number"),
);
const firstRealTime = 34;
const lastRealTime = 64;

/**
 * Docker's name of a stop signal, such as `SIGRTMIN+3`; undefined for the image's default.
 * @throws ShimError "invalid-argument" for a value that CRI does not define.
 */
export function toDockerSignal(signal: Signal, field: string): string | undefined {
  if (signal === Signal.RUNTIME_DEFAULT) return undefined;
  const name = (Signal as Readonly<Record<number, string>>)[signal];
  if (name === undefined) throw unknownValue(field, signal);
  return name.replace("RTMINPLUS", "RTMIN+").replace("RTMAXMINUS", "RTMAX-");
}

/** The CRI signal for a name or number, with or without `SIG`. RUNTIME_DEFAULT if unknown. */
export function fromDockerSignal(text: string): Signal {
  const bare = /^\d+$/.test(text) ? nameOf(Number(text)) : text.toUpperCase().replace(/^SIG/, "");
  const name = `SIG${bare.replace("RTMIN+", "RTMINPLUS").replace("RTMAX-", "RTMAXMINUS")}`;
  return byName.get(name) ?? Signal.RUNTIME_DEFAULT;
}

function nameOf(number: number): string {
  if (number === firstRealTime) return "RTMIN";
  if (number === lastRealTime) return "RTMAX";
  if (number > firstRealTime && number < lastRealTime) {
    const above = number - firstRealTime;
    return above <= 15 ? `RTMIN+${above}` : `RTMAX-${lastRealTime - number}`;
  }
  return numbered[number - 1] ?? "";
}
