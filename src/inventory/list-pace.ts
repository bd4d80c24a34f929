const shortestPauseMs = 2_000;
const longestPauseMs = 120_000;
/** Lists may take a fortieth of Docker's time. */
export const pausesPerList = 40;
/** Listing and comparing one container takes the shim some 40 microseconds: all of them take 0.2 % of a core. */
const pauseMsPerContainer = 20;
/** A list that took more than this many times the last one was delayed by other work. */
const mostGrowth = 2;

/**
 * The pause between two lists that only verify: slower and longer lists are requested less often. With the containerd
 * image store such a list is expensive.
 */
export class ListPace {
  private listMs = 0;
  private containers = 0;

  /** @param factor Pauses this many times longer. */
  constructor(private readonly factor = 1) {}

  get pauseMs(): number {
    const { listMs, containers } = this;
    const pauseMs = Math.max(shortestPauseMs, listMs * pausesPerList, containers * pauseMsPerContainer);
    return Math.min(pauseMs * this.factor, longestPauseMs);
  }

  /** Records how long a list took, and how many containers it had. */
  took(ms: number, containers = 0): void {
    this.listMs = this.listMs === 0 ? ms : Math.min(ms, this.listMs * mostGrowth);
    this.containers = containers;
  }
}
