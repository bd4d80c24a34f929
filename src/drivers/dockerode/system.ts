import type { CallOptions } from "../../base/index.js";
import type { DockerInfo, DockerSystem, DockerVersion } from "../../docker/index.js";
import { decodeInfo, decodeVersion } from "./decode/system.js";
import type { EngineConnection } from "./engine.js";

/** The engine as a whole, over Docker's API. */
export class DockerodeSystem implements DockerSystem {
  constructor(private readonly engine: EngineConnection) {}

  async ping(options?: CallOptions): Promise<void> {
    await this.engine.call("system.ping", options, async (call) => {
      await this.engine.ping(call);
    });
  }

  async version(options?: CallOptions): Promise<DockerVersion> {
    return await this.engine.call("system.version", options, async (call) =>
      this.engine.json(call, { method: "GET", path: "/version" }, decodeVersion),
    );
  }

  async info(options?: CallOptions): Promise<DockerInfo> {
    return await this.engine.call("system.info", options, async (call) =>
      this.engine.json(call, { method: "GET", path: "/info" }, decodeInfo),
    );
  }

  async apiVersion(options?: CallOptions): Promise<readonly [major: number, minor: number]> {
    return await this.engine.call("system.apiVersion", options, async (call) => this.engine.version(call));
  }
}
