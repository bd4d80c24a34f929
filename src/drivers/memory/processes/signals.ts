import { constants } from "node:os";
import { ShimError } from "../../../base/index.js";

const signals: Readonly<Record<string, number>> = constants.signals;

export const SIGKILL = constants.signals.SIGKILL;
export const SIGTERM = constants.signals.SIGTERM;
export const SIGINT = constants.signals.SIGINT;
export const SIGWINCH = constants.signals.SIGWINCH;

/** Signals that are ignored by default. */
export const harmlessSignals: ReadonlySet<number> = new Set([
  constants.signals.SIGCHLD,
  constants.signals.SIGCONT,
  constants.signals.SIGURG,
  constants.signals.SIGWINCH,
  constants.signals.SIGSTOP,
  constants.signals.SIGTSTP,
  constants.signals.SIGTTIN,
  constants.signals.SIGTTOU,
]);

/** The number of `SIGTERM`, `TERM`, `term` or `15`; undefined for an unknown signal. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= 64 ? number : undefined;
  }
  const upper = text.toUpperCase();
  return signals[upper.startsWith("SIG") ? upper : `SIG${upper}`];
}

/** As {@link signalNumber}. @throws ShimError "invalid-argument" for an unknown signal. */
export function requireSignal(text: string, operation: string): number {
  const number = signalNumber(text);
  if (number === undefined)
    throw new ShimError("invalid-argument", `${operation}: ${JSON.stringify(text)} is not a signal`, {
      operation,
    });
  return number;
}
