import { codeOf, messageOf, nowNanos, onAbort, sleep, type Logger } from "../base/index.js";
import type { Host } from "../host/index.js";
import type { Images } from "../images/index.js";
import type { Inventory, WorkloadRecord } from "../inventory/index.js";
import { LayerFolders } from "./layer-folders.js";
import type { LayerUsage } from "./usage.js";

const defaultRoundMs = 60_000;
/** Measuring an empty layer takes some 0.8 ms of CPU time: all of them take 0.2 % of a core. */
const roundMsPerLayer = 400;
/** The retry interval for a layer that was not found yet. A new container is measured at once. */
const newMs = 2_000;
/** The share of a core, and of the disk's time, for measuring. */
const share = 0.02;

/**
 * The sizes of writable layers, measured one after the other in the background. A call gets the last size with its
 * time, which may be long ago.
 */
export class WritableLayers {
  private readonly sizes = new Map<string, LayerUsage>();
  private readonly folders: LayerFolders;
  private readonly closed = new AbortController();
  /** True when a container was created or started since the last walk began. */
  private hasNew = false;
  private wake: () => void = () => undefined;

  /** @param roundMs The shortest time from the start of one round to the start of the next. */
  constructor(
    private readonly host: Host,
    private readonly inventory: Inventory,
    private readonly images: Images,
    private readonly log: Logger,
    private readonly roundMs = defaultRoundMs,
  ) {
    this.folders = new LayerFolders(host, inventory);
  }

  /** Starts measuring; returns at once. */
  start(): void {
    void this.goOn();
  }

  close(): void {
    this.closed.abort();
  }

  /** Undefined while the layer has not been measured. */
  of(record: WorkloadRecord): LayerUsage | undefined {
    return this.sizes.get(record.id);
  }

  private async goOn(): Promise<void> {
    const { signal } = this.closed;
    const { inventory, log } = this;
    const unsubscribe = inventory.subscribe(({ type }) => {
      if (type !== "created" && type !== "started") return;
      this.hasNew = true;
      this.wake();
    });
    onAbort(signal, unsubscribe);
    await inventory.whenReady({ signal }).catch(() => undefined);
    let roundAtMs = -Infinity;
    while (!signal.aborted) {
      const roundMs = Math.max(this.roundMs, this.sizes.size * roundMsPerLayer);
      const isDue = performance.now() - roundAtMs >= roundMs;
      if (isDue) roundAtMs = performance.now();
      try {
        this.hasNew = false;
        await this.walk(isDue);
        await this.untilNew(signal);
      } catch (error) {
        if (this.closed.signal.aborted) return;
        log.warn({ reason: messageOf(error) }, "could not measure the writable layers of containers");
        await sleep(this.roundMs, signal).catch(() => undefined);
      }
    }
  }

  /** Waits for a new container, at most for `newMs`. */
  private async untilNew(signal: AbortSignal): Promise<void> {
    if (this.hasNew || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        unlisten();
        resolve();
      };
      const timer = setTimeout(done, newMs);
      const unlisten = onAbort(signal, done);
      this.wake = done;
    });
  }

  private async walk(isDue: boolean): Promise<void> {
    const ids = new Set(this.inventory.workloads().map(({ id }) => id));
    for (const id of this.sizes.keys()) if (!ids.has(id)) this.sizes.delete(id);
    this.folders.keepOnly(ids);
    const tried = new Set<string>();
    let mountPoint: string | undefined;
    for (let record = this.next(tried, isDue); record; record = this.next(tried, isDue)) {
      tried.add(record.id);
      mountPoint ??= (await this.images.disk()).mountPoint;
      await this.measure(record, mountPoint);
    }
  }

  /** A container that has not been measured yet comes before the old ones of a round, also amid a round. */
  private next(tried: ReadonlySet<string>, isDue: boolean): WorkloadRecord | undefined {
    if (this.closed.signal.aborted) return undefined;
    const left = this.inventory.workloads().filter(({ id }) => !tried.has(id));
    return left.find(({ id }) => !this.sizes.has(id)) ?? (isDue ? left[0] : undefined);
  }

  private async measure(record: WorkloadRecord, mountPoint: string): Promise<void> {
    const { signal } = this.closed;
    const layer = await this.folders.of(record);
    if (!layer) return;
    const readAtNanos = nowNanos();
    const { folder, unlessIn } = layer;
    const measured = await this.host.trees.usage(folder, { share, unlessIn, signal }).catch(unlessGone);
    if (!measured) return;
    this.sizes.set(record.id, { readAtNanos, mountPoint, ...measured });
  }
}

/** True for an error that means that the container was removed. */
function unlessGone(error: unknown): undefined {
  if (codeOf(error) === "ENOENT") return undefined;
  throw error;
}
