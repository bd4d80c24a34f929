import { ConnectError } from "@connectrpc/connect";
import type { Clients } from "../../src/client/index.js";
import { ContainerState, NamespaceMode, PodSandboxState } from "../../src/gen/runtime/v1/api_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PodSandboxConfigSchema } from "../../src/gen/runtime/v1/api_pb.js";
import type { Cri } from "./pod-life.js";

type PodConfig = MessageInitShape<typeof PodSandboxConfigSchema>;

/** CRI through a client of ours, over whatever transport it was made with. */
export class ClientCri implements Cri {
  private readonly configs = new Map<string, PodConfig>();

  /** @param logRoot Where the pods' log directories go. */
  constructor(
    private readonly clients: Pick<Clients, "runtime" | "images">,
    private readonly logRoot: string,
  ) {}

  async version() {
    const { runtimeName, runtimeVersion, runtimeApiVersion } = await this.clients.runtime.version({});
    return { runtimeName, runtimeVersion, runtimeApiVersion };
  }

  async conditions() {
    const { status } = await this.clients.runtime.status({});
    return (status?.conditions ?? []).filter((condition) => condition.status).map(({ type }) => type);
  }

  async pull(image: string) {
    await this.clients.images.pullImage({ image: { image } });
  }

  async images() {
    return (await this.clients.images.listImages({})).images.flatMap(({ repoTags }) => repoTags);
  }

  async runPod(name: string) {
    const config: PodConfig = {
      metadata: { name, namespace: "default", uid: `uid-${name}`, attempt: 0 },
      logDirectory: `${this.logRoot}/${name}`,
      linux: { securityContext: { namespaceOptions: { network: NamespaceMode.NODE } } },
    };
    const { podSandboxId } = await this.clients.runtime.runPodSandbox({ config });
    this.configs.set(podSandboxId, config);
    return podSandboxId;
  }

  async createContainer(
    podSandboxId: string,
    { name, image, command }: { name: string; image: string; command: readonly string[] },
  ) {
    const { containerId } = await this.clients.runtime.createContainer({
      podSandboxId,
      sandboxConfig: this.configs.get(podSandboxId),
      config: {
        metadata: { name },
        image: { image },
        command: [...command],
        logPath: `${name}.log`,
        linux: {},
      },
    });
    return containerId;
  }

  async startContainer(containerId: string) {
    await this.clients.runtime.startContainer({ containerId });
  }

  async exec(containerId: string, cmd: readonly string[]) {
    const { stdout, stderr, exitCode } = await this.clients.runtime.execSync({ containerId, cmd: [...cmd] });
    const text = Buffer.concat([stdout, stderr]).toString();
    return { lines: text.split("\n").filter((line) => line !== ""), exitCode };
  }

  async containers() {
    const { containers } = await this.clients.runtime.listContainers({});
    return containers.map(({ id, metadata, state }) => ({
      id,
      name: metadata?.name ?? "",
      state: ContainerState[state],
    }));
  }

  async pods() {
    const { items } = await this.clients.runtime.listPodSandbox({});
    return items.map(({ id, metadata, state }) => ({
      id,
      name: metadata?.name ?? "",
      state: PodSandboxState[state],
    }));
  }

  async inspectContainer(containerId: string) {
    const { status } = await this.clients.runtime.containerStatus({ containerId });
    if (!status) throw new ConnectError("an answer without a status");
    const { state, exitCode, image, logPath } = status;
    return { state: ContainerState[state], exitCode, image: image?.image ?? "", logPath };
  }

  async inspectPod(podSandboxId: string) {
    const { status } = await this.clients.runtime.podSandboxStatus({ podSandboxId });
    if (!status) throw new ConnectError("an answer without a status");
    return {
      state: PodSandboxState[status.state],
      name: status.metadata?.name ?? "",
      namespace: status.metadata?.namespace ?? "",
    };
  }

  async stopContainer(containerId: string) {
    await this.clients.runtime.stopContainer({ containerId, timeout: 1n });
  }

  async removeContainer(containerId: string) {
    await this.clients.runtime.removeContainer({ containerId });
  }

  async stopPod(podSandboxId: string) {
    await this.clients.runtime.stopPodSandbox({ podSandboxId });
  }

  async removePod(podSandboxId: string) {
    await this.clients.runtime.removePodSandbox({ podSandboxId });
  }

  async removeImage(image: string) {
    await this.clients.images.removeImage({ image: { image } });
  }
}
