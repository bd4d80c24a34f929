import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";

/** A stop of fewer milliseconds is not looked into once more. */
const enoughMs = 50;

/** A stop that garbage of another test, or a function not yet compiled, has caused does not come back. */
const tries = 4;

/**
 * The longest time, in milliseconds, for which some work kept the event loop from its next turn: the least of a few
 * tries. Time in which this process did not run, as other processes had the CPU, does not count.
 */
export async function longestStop(work: () => unknown): Promise<number> {
  let least = Infinity;
  for (let attempt = 0; attempt < tries && least > enoughMs; attempt++) {
    least = Math.min(least, await stopDuring(work));
  }
  return least;
}

async function stopDuring(work: () => unknown): Promise<number> {
  const turns = watchTurns();
  await delay(5);
  await work();
  await turn();
  await delay(5);
  return turns.end();
}

/** Looks at the clock and at the process's CPU time every millisecond: the lesser of both is what a turn took. */
function watchTurns(): { end(): number } {
  let longest = 0;
  let wallMs = performance.now();
  let cpu = process.cpuUsage();
  const look = () => {
    const { user, system } = process.cpuUsage(cpu);
    longest = Math.max(longest, Math.min(performance.now() - wallMs, (user + system) / 1000));
    wallMs = performance.now();
    cpu = process.cpuUsage();
  };
  const timer = setInterval(look, 1);
  return {
    end: () => {
      clearInterval(timer);
      look();
      return longest;
    },
  };
}
