import { createHash } from "node:crypto";
import type { Host } from "../host/index.js";

const readsAtOnce = 8;

/**
 * The sizes of layers, as Docker's own store has noted them down. A layer never changes, so each is read once.
 * Layers are known by chain id, which stands for one layer upon those below it.
 * @see OCI image specification, "Layer ChainID"
 */
export class LayerSizes {
  private readonly sizes = new Map<string, number | undefined>();
  private learning: Promise<void> | undefined;

  constructor(private readonly host: Host) {}

  /** In bytes; undefined where it is not known. */
  get(chainId: string): number | undefined {
    return this.sizes.get(chainId);
  }

  /**
   * Reads the sizes of layers that were not asked for before, and forgets all others.
   * @param folder Where Docker keeps its layers' facts, a folder for each chain id.
   */
  async learn(folder: string, chainIds: ReadonlySet<string>): Promise<void> {
    this.learning ??= this.read(folder, chainIds).finally(() => {
      this.learning = undefined;
    });
    await this.learning;
  }

  private async read(folder: string, chainIds: ReadonlySet<string>): Promise<void> {
    for (const known of this.sizes.keys()) if (!chainIds.has(known)) this.sizes.delete(known);
    const wanted = [...chainIds].filter((chainId) => !this.sizes.has(chainId)).values();
    const worker = async () => {
      for (const chainId of wanted) this.sizes.set(chainId, await this.readOne(folder, chainId));
    };
    await Promise.all(Array.from({ length: readsAtOnce }, worker));
  }

  private async readOne(folder: string, chainId: string): Promise<number | undefined> {
    const [algorithm = "", digits = ""] = chainId.split(":");
    try {
      const text = (await this.host.files.read(`${folder}/${algorithm}/${digits}/size`)).toString("utf8");
      return /^\d{1,15}\s*$/.test(text) ? Number(text) : undefined;
    } catch {
      // Another kind of store, or another machine's: the images' own sizes must do.
      return undefined;
    }
  }
}

/** The chain ids of an image's layers, lowest first; none when a layer's id is not what ids look like. */
export function chainIdsOf(layers: readonly string[]): string[] {
  const chain: string[] = [];
  for (const layer of layers) {
    if (!/^sha256:[0-9a-f]{64}$/.test(layer)) return [];
    const below = chain.at(-1);
    chain.push(
      below === undefined
        ? layer
        : `sha256:${createHash("sha256").update(`${below} ${layer}`).digest("hex")}`,
    );
  }
  return chain;
}
