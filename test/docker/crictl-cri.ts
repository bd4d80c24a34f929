import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cri, Listed } from "../wire/pod-life.js";
import { run } from "./lab/index.js";

interface CrictlOptions {
  /** The built crictl. */
  readonly program: string;
  /** Of the shim, `unix://…`. */
  readonly endpoint: string;
}

interface CrictlItem {
  id: string;
  metadata: { name: string };
  state: string;
}

/** CRI through crictl, as a person uses it: a grpc-go client with YAML or JSON files and printed answers. */
export class CrictlCri implements Cri {
  private folder: string | undefined;
  private readonly podConfigs = new Map<string, string>();

  constructor(private readonly options: CrictlOptions) {}

  /** Runs crictl and answers what it printed. @throws CommandError with its standard error. */
  async crictl(...args: string[]): Promise<string> {
    return (await run(this.options.program, [...this.endpoints(), ...args])).stdout;
  }

  private endpoints(): string[] {
    const { endpoint } = this.options;
    return ["--runtime-endpoint", endpoint, "--image-endpoint", endpoint, "--timeout", "60s"];
  }

  async close(): Promise<void> {
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }

  async version() {
    const text = await this.crictl("version");
    const value = (key: string) => new RegExp(`^${key}:\\s+(.*)$`, "m").exec(text)?.[1] ?? "";
    return {
      runtimeName: value("RuntimeName"),
      runtimeVersion: value("RuntimeVersion"),
      runtimeApiVersion: value("RuntimeApiVersion"),
    };
  }

  async conditions() {
    const info = JSON.parse(await this.crictl("info")) as {
      status: { conditions: { type: string; status: boolean }[] };
    };
    return info.status.conditions.filter(({ status }) => status).map(({ type }) => type);
  }

  async pull(image: string) {
    await this.crictl("pull", image);
  }

  async images() {
    const { images } = JSON.parse(await this.crictl("images", "-o", "json")) as {
      images: { repoTags: string[] }[];
    };
    return images.flatMap(({ repoTags }) => repoTags);
  }

  async runPod(name: string) {
    const folder = (this.folder ??= await mkdtemp(join(tmpdir(), "crictl-")));
    const logDirectory = join(folder, name);
    await mkdir(logDirectory, { recursive: true });
    const config = await this.file(`pod-${name}`, {
      metadata: { name, namespace: "default", uid: `uid-${name}`, attempt: 0 },
      log_directory: logDirectory,
      linux: { security_context: { namespace_options: { network: 2 } } },
    });
    const id = (await this.crictl("runp", config)).trim();
    this.podConfigs.set(id, config);
    return id;
  }

  async createContainer(pod: string, options: { name: string; image: string; command: readonly string[] }) {
    const config = await this.file(`container-${options.name}`, {
      metadata: { name: options.name, attempt: 0 },
      image: { image: options.image },
      command: options.command,
      log_path: `${options.name}.log`,
      linux: {},
    });
    return (await this.crictl("create", "--no-pull", pod, config, this.podConfigs.get(pod) ?? "")).trim();
  }

  async startContainer(id: string) {
    await this.crictl("start", id);
  }

  async exec(id: string, command: readonly string[]) {
    const { program } = this.options;
    const args = [...this.endpoints(), "exec", "-s", id, ...command];
    const { stdout, stderr, exitCode } = await run(program, args, { allowFailure: true });
    if (exitCode === 0) return { lines: stdout.split("\n").filter((line) => line !== ""), exitCode };
    // crictl's own exit code is 1; the command's stands in its message.
    return { lines: [], exitCode: Number(/exit\D*(\d+)/.exec(stderr)?.[1]) };
  }

  async containers() {
    const { containers } = JSON.parse(await this.crictl("ps", "-a", "-o", "json")) as {
      containers: CrictlItem[];
    };
    return containers.map(toListed);
  }

  async pods() {
    const { items } = JSON.parse(await this.crictl("pods", "-o", "json")) as { items: CrictlItem[] };
    return items.map(toListed);
  }

  async inspectContainer(id: string) {
    const { status } = JSON.parse(await this.crictl("inspect", id)) as {
      status: { state: string; exitCode: number; image: { image: string }; logPath: string };
    };
    const { state, exitCode, image, logPath } = status;
    return { state, exitCode, image: image.image, logPath };
  }

  async inspectPod(id: string) {
    const { status } = JSON.parse(await this.crictl("inspectp", id)) as {
      status: { state: string; metadata: { name: string; namespace: string } };
    };
    return { state: status.state, name: status.metadata.name, namespace: status.metadata.namespace };
  }

  async stopContainer(id: string) {
    await this.crictl("stop", "--timeout", "1", id);
  }

  async removeContainer(id: string) {
    await this.crictl("rm", id);
  }

  async stopPod(id: string) {
    await this.crictl("stopp", id);
  }

  async removePod(id: string) {
    await this.crictl("rmp", id);
  }

  async removeImage(image: string) {
    await this.crictl("rmi", image);
  }

  private async file(name: string, content: unknown): Promise<string> {
    const path = join(this.folder ?? tmpdir(), `${name}.json`);
    await writeFile(path, JSON.stringify(content));
    return path;
  }
}

function toListed({ id, metadata, state }: CrictlItem): Listed {
  return { id, name: metadata.name, state };
}
