import type { CallOptions } from "../../base/index.js";
import type { DockerInfo, DockerSystem, DockerVersion } from "../../docker/index.js";
import type { Connection } from "./connection.js";
import { dataRoot } from "./engine.js";

/** The memory engine as a whole. */
export class MemorySystem implements DockerSystem {
  constructor(
    private readonly connection: Connection,
    private readonly engineId: string,
  ) {}

  async ping(options?: CallOptions): Promise<void> {
    await this.connection.call("system.ping", options, {}, () => undefined);
  }

  async version(options?: CallOptions): Promise<DockerVersion> {
    return await this.connection.call("system.version", options, {}, () => {
      const { settings, host } = this.connection.engine;
      return {
        engineVersion: settings.engineVersion,
        apiVersion: settings.apiVersion.join("."),
        minApiVersion: "1.24",
        kernelVersion: host.kernel.release,
      };
    });
  }

  async info(options?: CallOptions): Promise<DockerInfo> {
    return await this.connection.call("system.info", options, {}, async () => {
      const { settings, host } = this.connection.engine;
      const mountOptions =
        settings.apiVersion[1] >= 44 ? { mountOptions: ["bind", "rbind", "ro", "rro", "rprivate"] } : {};
      return {
        engineId: this.engineId,
        engineVersion: settings.engineVersion,
        hostname: "memory",
        cgroupDriver: settings.cgroupDriver,
        cgroupVersion: await host.kernel.cgroupVersion(),
        rootDirectory: dataRoot,
        storageDriver: "overlay2",
        containerdImageStore: false,
        logDriver: "json-file",
        defaultRuntime: settings.runtimes[0] ?? "runc",
        runtimes: settings.runtimes.map((name) => ({ name, ...mountOptions })),
        securityOptions: ["name=seccomp,profile=builtin", "name=cgroupns"],
        liveRestore: settings.liveRestore,
        experimental: false,
        kernelVersion: host.kernel.release,
        cpus: settings.cpus,
        memoryBytes: settings.memoryBytes,
        swapLimitSupported: settings.swapLimitSupported,
        cdiSpecDirectories: settings.cdiSpecDirectories,
        warnings: [],
      };
    });
  }

  async apiVersion(options?: CallOptions): Promise<readonly [major: number, minor: number]> {
    return await this.connection.call(
      "system.apiVersion",
      options,
      {},
      () => this.connection.engine.settings.apiVersion,
    );
  }
}
