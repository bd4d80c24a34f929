import { fileFailure, messageOf, type Logger } from "../../base/index.js";
import { removeTemporaries, type HostFiles } from "../../host/index.js";
import { parsePodCidrs } from "./capabilities.js";

const fileName = "docker-cri-pod-cidr";

/**
 * The subnets of this node's pods. Kubelet sends them when they change and not when the shim restarts, so they
 * are kept on disk.
 */
export class PodCidrs {
  private cidrs: readonly string[];
  private readonly path: string;

  /** @throws ShimError "invalid-argument" when the configured ones are not valid. */
  constructor(
    private readonly files: HostFiles,
    private readonly cacheDir: string,
    configured: string,
    private readonly log: Logger,
  ) {
    this.cidrs = parsePodCidrs(configured);
    this.path = `${cacheDir}/${fileName}`;
  }

  get current(): readonly string[] {
    return this.cidrs;
  }

  /** Loads the subnets that were set last, unless they are configured. */
  async start(): Promise<void> {
    await removeTemporaries(this.files, this.cacheDir, (name) => name === fileName);
    if (this.cidrs.length > 0 || (await this.files.kindOf(this.path)) !== "file") return;
    try {
      this.cidrs = parsePodCidrs((await this.files.read(this.path)).toString());
    } catch (error) {
      this.log.warn({ path: this.path, err: messageOf(error) }, "could not read the stored pod CIDR");
    }
  }

  /** @throws ShimError "invalid-argument". */
  async set(text: string): Promise<void> {
    const cidrs = parsePodCidrs(text);
    if (cidrs.length === 0 || cidrs.join() === this.cidrs.join()) return;
    this.log.info({ podCidr: cidrs, before: this.cidrs }, "pod CIDR set");
    this.cidrs = cidrs;
    try {
      await this.files.writeAtomic(this.path, cidrs.join());
    } catch (error) {
      throw fileFailure(`cannot keep the pod CIDR in ${this.path}`, error);
    }
  }
}
