/**
 * Prints one line to standard error that says what the lab is doing. Everything that takes more than
 * a moment says so, since a silent minute looks like a hang.
 */
export function say(text: string): void {
  process.stderr.write(`[lab] ${text}\n`);
}

/** Runs `work`, saying what it is and how long it took. Errors of `work` pass through. */
export async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  say(`${what} …`);
  const begun = Date.now();
  const result = await work();
  say(`${what}: ${((Date.now() - begun) / 1000).toFixed(1)} s`);
  return result;
}
