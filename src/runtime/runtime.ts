import { create } from "@bufbuild/protobuf";
import { inject, injectable } from "../base/injection.js";
import { ShimConfig } from "../config/index.js";
import { CgroupDriver, RuntimeHandlerSchema, type RuntimeHandler } from "../gen/runtime/v1/api_pb.js";
import { Inventory } from "../inventory/index.js";
import { Network } from "../network/index.js";
import { recursiveReadOnlySupported } from "../translate/index.js";

/** cri-dockerd's, which kubelet has stored in the ids of running containers. */
const runtimeName = "docker";

const firstContactMs = 10_000;

export interface Condition {
  readonly type: "RuntimeReady" | "NetworkReady";
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
}

/** The engine and the network as a whole: Version, Status and RuntimeConfig. */
@injectable()
export class Runtime {
  constructor(
    @inject(Inventory) private readonly inventory: Inventory,
    @inject(Network) private readonly network: Network,
    @inject(ShimConfig) private readonly config: ShimConfig,
  ) {}

  /** True once Docker has answered: its version does not have to be waited for. */
  get isKnown(): boolean {
    return this.inventory.isEngineKnown;
  }

  /** Waits up to ten seconds for Docker's first answer. @throws ShimError "unavailable". */
  async firstVersion(signal: AbortSignal) {
    await this.inventory.whenEngineKnown({ signal, deadlineMs: firstContactMs }).catch(() => undefined);
    return this.version();
  }

  /** @throws ShimError "unavailable" before Docker has answered. */
  version() {
    const { version } = this.inventory.engine();
    return {
      version: "0.1.0",
      runtimeName,
      runtimeVersion: version.engineVersion ?? "",
      runtimeApiVersion: "v1",
    };
  }

  /** @throws ShimError "unavailable" before the first sync. */
  cgroupDriver(): CgroupDriver {
    return this.inventory.engine().info.cgroupDriver === "systemd"
      ? CgroupDriver.SYSTEMD
      : CgroupDriver.CGROUPFS;
  }

  status({ verbose }: { readonly verbose: boolean }) {
    const conditions = [this.runtimeCondition(), this.networkCondition()];
    const info: Record<string, string> = verbose ? { config: JSON.stringify(this.describeConfig()) } : {};
    return {
      status: { conditions },
      runtimeHandlers: this.handlers(),
      features: { supplementalGroupsPolicy: true },
      info,
    };
  }

  async setPodCidr(podCidr: string): Promise<void> {
    await this.network.setPodCidr(podCidr);
  }

  private runtimeCondition(): Condition {
    const { connection } = this.inventory;
    return connection.ok
      ? { type: "RuntimeReady", status: true, reason: "", message: "" }
      : {
          type: "RuntimeReady",
          status: false,
          reason: "DockerDaemonNotReady",
          message: `docker: ${connection.message}`,
        };
  }

  private networkCondition(): Condition {
    const { ready, reason = "", message = "" } = this.network.status();
    return { type: "NetworkReady", status: ready, reason, message };
  }

  /** One entry for each of Docker's runtimes, and one without a name for the default. */
  private handlers(): RuntimeHandler[] {
    if (!this.inventory.isReady) return [];
    const environment = this.inventory.environment();
    const names = ["", ...environment.runtimes.map((runtime) => runtime.name)].sort();
    return names.map((name) =>
      create(RuntimeHandlerSchema, {
        name,
        features: {
          recursiveReadOnlyMounts: recursiveReadOnlySupported(environment, name),
          userNamespaces: false,
        },
      }),
    );
  }

  private describeConfig() {
    const { sandboxImage, rootDirectory, network, logs, engine } = this.config;
    if (this.inventory.isReady) {
      const { info, apiVersion } = this.inventory.engine();
      return {
        sandboxImage,
        rootDirectory,
        network,
        logs,
        engine,
        docker: { ...info, apiVersion: apiVersion.join(".") },
      };
    }
    return { sandboxImage, rootDirectory, network, logs, engine };
  }
}
