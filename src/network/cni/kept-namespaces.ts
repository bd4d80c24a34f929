import { messageOf, type Logger } from "../../base/index.js";
import type { Host } from "../../host/index.js";

const idPattern = /^[0-9a-f]{64}$/;

/**
 * Keeps the namespaces of connected pods, so that they can be disconnected whatever became of their processes: a
 * plugin that finds the namespace gone leaves things behind. They outlive this process. A reboot ends them with all
 * that is in them, and the node's firewall rules; the files that it leaves are found by the retry, or removed at the
 * next start.
 */
export class KeptNamespaces {
  private readonly folder: string;

  /** @param cacheDir The folder that the results of connections are kept in. */
  constructor(
    private readonly host: Host,
    cacheDir: string,
    private readonly log: Logger,
  ) {
    this.folder = `${cacheDir}/docker-cri-netns`;
  }

  /** Keeps a pod's namespace, where that can be done: not without the right to mount. */
  async keep(podId: string, netnsPath: string | undefined): Promise<void> {
    if (netnsPath === undefined || netnsPath === "" || !idPattern.test(podId)) return;
    try {
      await this.host.namespaces.keep(netnsPath, `${this.folder}/${podId}`);
    } catch (error) {
      this.log.debug({ pod: podId, err: messageOf(error) }, "the namespace cannot be kept beyond its pod");
    }
  }

  /** The path of a namespace that is kept; undefined when it is not. */
  async find(podId: string): Promise<string | undefined> {
    if (!idPattern.test(podId)) return undefined;
    const path = `${this.folder}/${podId}`;
    return (await this.host.namespaces.isKept(path)) ? path : undefined;
  }

  /** Lets a pod's namespace go; a failure is said in the log. */
  async release(podId: string): Promise<void> {
    if (!idPattern.test(podId)) return;
    try {
      await this.host.namespaces.release(`${this.folder}/${podId}`);
    } catch (error) {
      this.log.warn({ pod: podId, err: messageOf(error) }, "a namespace is kept longer than its pod");
    }
  }

  /** Lets the namespaces go of pods that are not among these. */
  async sweep(podIds: ReadonlySet<string>): Promise<void> {
    for (const name of await this.host.files.list(this.folder))
      if (!podIds.has(name)) await this.release(name);
  }
}
