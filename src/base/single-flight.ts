/** Runs one piece of work for concurrent callers with the same key. */
export class SingleFlight<T> {
  private readonly flights = new Map<string, Promise<T>>();

  /** Starts `work`, or joins the one that is under way for `key`; nothing is kept once it has ended. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const flying = this.flights.get(key);
    if (flying) return flying;
    const flight = work().finally(() => this.flights.delete(key));
    this.flights.set(key, flight);
    return flight;
  }

  /** How many keys are in flight. */
  get size(): number {
    return this.flights.size;
  }
}
