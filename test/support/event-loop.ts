import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";

/** How often the measure looks, in milliseconds. */
const resolutionMs = 5;

/** A stop that the machine's other work has caused does not come back. */
const tries = 4;

/** A stop of fewer milliseconds is not looked into. */
const enoughMs = 50;

/**
 * The longest time, in milliseconds, for which the event loop stood still during some work: the least of a few tries,
 * for a machine that is busy stops it too.
 */
export async function longestStop(work: () => unknown): Promise<number> {
  let least = Infinity;
  for (let attempt = 0; attempt < tries && least > enoughMs; attempt++) {
    least = Math.min(least, await stopDuring(work));
  }
  return least;
}

async function stopDuring(work: () => unknown): Promise<number> {
  const monitor = monitorEventLoopDelay({ resolution: resolutionMs });
  monitor.enable();
  // The first look comes only after a turn, and a stop before it would not be seen.
  await delay(2 * resolutionMs);
  monitor.reset();
  const began = performance.now();
  await work();
  await turn();
  await delay(2 * resolutionMs);
  monitor.disable();
  // Without a look there was one stop, which lasted all the time.
  if (monitor.count === 0) return performance.now() - began;
  return Math.max(0, monitor.max / 1e6 - resolutionMs);
}
