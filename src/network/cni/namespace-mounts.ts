import { messageOf, type Logger } from "../../base/index.js";
import type { Host } from "../../host/index.js";

const idPattern = /^[0-9a-f]{64}$/;

/**
 * Bind mounts of the network namespaces of attached pods, so that a pod can be detached after its processes have ended.
 * They survive a restart of docker-cri. A reboot removes the mounts, the namespaces and the firewall's rules; the empty
 * files are removed with the pod, or at the next start.
 */
export class NamespaceMounts {
  private readonly folder: string;

  constructor(
    private readonly host: Host,
    cacheDir: string,
    private readonly log: Logger,
  ) {
    this.folder = `${cacheDir}/docker-cri-netns`;
  }

  /** Mounts a pod's namespace, unless it is mounted. Without the permission to mount this does nothing. */
  async mount(podId: string, netnsPath: string): Promise<void> {
    if (netnsPath === "" || !idPattern.test(podId)) return;
    try {
      await this.host.namespaces.keep(netnsPath, `${this.folder}/${podId}`);
    } catch (error) {
      this.log.debug({ pod: podId, err: messageOf(error) }, "cannot mount the pod's network namespace");
    }
  }

  /** The path of a pod's mount; undefined when there is none. */
  async find(podId: string): Promise<string | undefined> {
    if (!idPattern.test(podId)) return undefined;
    const path = `${this.folder}/${podId}`;
    return (await this.host.namespaces.isKept(path)) ? path : undefined;
  }

  /** Removes a pod's mount; a failure is logged. */
  async unmount(podId: string): Promise<void> {
    if (!idPattern.test(podId)) return;
    try {
      await this.host.namespaces.release(`${this.folder}/${podId}`);
    } catch (error) {
      this.log.warn({ pod: podId, err: messageOf(error) }, "cannot unmount the pod's network namespace");
    }
  }

  /** Removes the mounts of all pods but these. */
  async sweep(podIds: ReadonlySet<string>): Promise<void> {
    for (const name of await this.host.files.list(this.folder))
      if (!podIds.has(name)) await this.unmount(name);
  }
}
