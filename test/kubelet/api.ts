import { request } from "node:https";
import { text } from "node:stream/consumers";
import {
  connectPortForward,
  connectProcess,
  type PortForward,
  type ProcessClientOptions,
  type RemoteProcess,
} from "../../src/client/index.js";
import {
  moduleProgram,
  run as runProgram,
  type CommandOptions,
  type CommandResult,
} from "../docker/lab/index.js";
import { namespace, type Pod } from "./pods.js";

export type Transport = "spdy" | "websocket";

/** What a client needs to be let in. */
interface Tls {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** The HTTPS API that a kubelet serves to the API server, with a client certificate. */
export class KubeletApi {
  /** @param files The client's certificate and key. */
  constructor(
    private readonly origin: string,
    private readonly tls: Tls,
    private readonly files: { readonly certFile: string; readonly keyFile: string },
  ) {}

  /** Runs kubectl's own libraries against a streaming URL of this API. @param path With the query. */
  async kubestream(
    mode: "process" | "connect" | "logs",
    path: string,
    rest: readonly string[],
    options: CommandOptions = {},
  ): Promise<CommandResult> {
    const { certFile, keyFile } = this.files;
    const where = ["-url", `${this.origin}${path}`, "-cert", certFile, "-key", keyFile];
    const run = { allowFailure: true, timeoutMs: 60_000, ...options };
    return await runProgram(await moduleProgram("kubestream"), [mode, ...where, ...rest], run);
  }

  /** @throws Error when the answer is not 200. */
  async get(path: string): Promise<string> {
    return await new Promise((resolve, reject) => {
      const call = request(
        `${this.origin}${path}`,
        { ...this.tls, agent: false, timeout: 20_000 },
        (answer) => {
          text(answer).then((body) => {
            if (answer.statusCode === 200) resolve(body);
            else reject(new Error(`GET ${path}: ${String(answer.statusCode)} ${body.slice(0, 500)}`));
          }, reject);
        },
      );
      call.on("timeout", () => call.destroy(new Error(`GET ${path}: no answer within 20 s`)));
      call.on("error", reject).end();
    });
  }

  async json<T>(path: string): Promise<T> {
    return JSON.parse(await this.get(path)) as T;
  }

  /** The static pods by their names in the manifests, with their status as the kubelet would report it. */
  async pods(): Promise<Map<string, Pod>> {
    const { items } = await this.json<{ readonly items: readonly Pod[] | null }>("/pods");
    return new Map((items ?? []).map((pod) => [pod.metadata.name.replace(/-node$/, ""), pod]));
  }

  async logs(pod: string, container: string, query = ""): Promise<string> {
    return await this.get(logPath(pod, container, query));
  }

  /** As `kubectl exec` does. */
  async exec(
    pod: string,
    container: string,
    command: readonly string[],
    options: ProcessClientOptions = {},
  ): Promise<RemoteProcess> {
    return await this.process(processPath("exec", pod, container, options, command), options);
  }

  /** As `kubectl attach` does. */
  async attach(pod: string, container: string, options: ProcessClientOptions = {}): Promise<RemoteProcess> {
    return await this.process(processPath("attach", pod, container, options), options);
  }

  /** As `kubectl port-forward` does. */
  async portForward(pod: string, transport: Transport): Promise<PortForward> {
    return await connectPortForward(`${this.origin}${portForwardPath(pod)}`, { transport, tls: this.tls });
  }

  /** Runs a command to its end, and answers its output. @throws Error when its exit code is not 0. */
  async output(pod: string, container: string, ...command: string[]): Promise<string> {
    const remote = await this.exec(pod, container, command);
    const [stdout, stderr] = await Promise.all([text(remote.stdout), text(remote.stderr)]);
    const exitCode = await remote.exitCode;
    if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit code ${String(exitCode)}: ${stderr}`);
    return stdout;
  }

  private async process(path: string, options: ProcessClientOptions): Promise<RemoteProcess> {
    const url = `${this.origin}${path}`;
    return await connectProcess(url, { ...options, ...streamsOf(options), tls: this.tls });
  }
}

export function logPath(pod: string, container: string, query: string): string {
  return `/containerLogs/${namespace}/${pod}-node/${container}?${query}`;
}

export function portForwardPath(pod: string): string {
  return `/portForward/${namespace}/${pod}-node`;
}

/** The path of an exec or attach in a kubelet's API, with its query. */
export function processPath(
  verb: "exec" | "attach",
  pod: string,
  container: string,
  options: ProcessClientOptions,
  command: readonly string[] = [],
): string {
  const { stdin: input, stdout: output, stderr: error, tty } = streamsOf(options);
  const query = new URLSearchParams(command.map((word) => ["command", word] as [string, string]));
  for (const [key, value] of Object.entries({ input, output, error, tty })) if (value) query.set(key, "1");
  return `/${verb}/${namespace}/${pod}-node/${container}?${query.toString()}`;
}

function streamsOf({ stdin = false, stdout = true, tty = false, stderr = !tty }: ProcessClientOptions) {
  return { stdin, stdout, stderr, tty };
}
