import { createHash } from "node:crypto";
import { SingleFlight } from "../base/index.js";
import type { Host } from "../host/index.js";

const readsAtOnce = 8;

/**
 * The sizes of layers, from Docker's layer store. A layer never changes, so each size is read once. Layers are identified
 * by chain ID, a hash of the layer and those below it.
 * @see OCI image specification, "Layer ChainID"
 */
export class LayerSizes {
  private readonly sizes = new Map<string, number | undefined>();
  private readonly reading = new SingleFlight<void>("images.layerSizes");

  constructor(private readonly host: Host) {}

  /** True once it has been read, even if its size is unknown. */
  has(chainId: string): boolean {
    return this.sizes.has(chainId);
  }

  /** In bytes; undefined if unknown. */
  get(chainId: string): number | undefined {
    return this.sizes.get(chainId);
  }

  /**
   * Reads the sizes of new layers and drops those of layers not in `chainIds`.
   * @param folder Docker's `layerdb`, with a directory for each chain ID.
   */
  async learn(folder: string, chainIds: ReadonlySet<string>): Promise<void> {
    await this.reading.run(folder, () => this.read(folder, chainIds));
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
      // Another kind of store, or a remote Docker: the sizes of whole images are used.
      return undefined;
    }
  }
}

/** The chain IDs of an image's layers, lowest first. Empty if a layer ID is malformed. */
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
