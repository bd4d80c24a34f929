const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Runs `react` once when the signal aborts, or at once when it has. Any number of calls may share a signal:
 * they share one listener too, since Node warns of a leak at the eleventh.
 * @returns Removes the reaction. Idempotent.
 */
export function onAbort(signal: AbortSignal | undefined, react: () => void): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) {
    react();
    return () => undefined;
  }
  const reactions = waiting.get(signal) ?? listen(signal);
  // Wrapped, so that the same function can be registered twice.
  const reaction = () => {
    react();
  };
  reactions.add(reaction);
  return () => reactions.delete(reaction);
}

function listen(signal: AbortSignal): Set<() => void> {
  const reactions = new Set<() => void>();
  waiting.set(signal, reactions);
  signal.addEventListener(
    "abort",
    () => {
      waiting.delete(signal);
      for (const reaction of reactions) reaction();
    },
    { once: true },
  );
  return reactions;
}
