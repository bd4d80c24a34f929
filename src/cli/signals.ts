import { exitCodes } from "./exit.js";

const endSignals = ["SIGTERM", "SIGINT"] as const;

/** The signals that end the process. */
export interface EndSignal extends Disposable {
  /** Aborts at the first SIGTERM or SIGINT; its reason is the signal's name. */
  readonly signal: AbortSignal;
}

/**
 * Waits for SIGTERM or SIGINT; a second one ends the process at once.
 * @param lastWords Called before it ends.
 */
export function awaitEndSignal(lastWords: (name: string) => void = () => undefined): EndSignal {
  const asked = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (asked.signal.aborted) {
      lastWords(name);
      process.exit(exitCodes.failure);
    }
    asked.abort(name);
  };
  for (const name of endSignals) process.on(name, onSignal);
  return {
    signal: asked.signal,
    [Symbol.dispose]: () => {
      for (const name of endSignals) process.off(name, onSignal);
    },
  };
}
