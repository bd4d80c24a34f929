import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectPortForward, connectProcess, createClients, type Clients } from "../src/client/index.js";
import { SecurityProfile_ProfileType } from "../src/gen/runtime/v1/api_pb.js";
import type { Lab } from "../test/docker/lab/index.js";
import type { MeasuredRuntime } from "./runtimes.js";

type Process = Awaited<ReturnType<typeof connectProcess>>;
type Ports = Awaited<ReturnType<typeof connectPortForward>>;

const blockBytes = 1_000_000;
const lineBytes = 16_000;

/** What is sent and received: text, since attached output goes through Docker's log as well. */
export interface Payload {
  readonly bytes: Buffer;
  readonly md5: string;
}

export function makePayload(megabytes: number): Payload {
  const block = Buffer.from(randomBytes((blockBytes * 3) / 4).toString("base64"), "latin1");
  for (let at = lineBytes - 1; at < blockBytes; at += lineBytes) block.write("\n", at);
  const bytes = Buffer.allocUnsafe(megabytes * blockBytes);
  for (let index = 0; index < megabytes; index++) {
    block.copy(bytes, index * blockBytes);
    // A block that is lost or comes twice shows.
    bytes.write(String(index).padStart(8, "0"), index * blockBytes);
  }
  return { bytes, md5: md5Of(bytes) };
}

export function md5Of(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

/** Ports in the pod: takes all, gives the payload, tells the digest of what was taken, speaks at once. */
export const podPorts = { sink: 8001, source: 8002, digest: 8003, greet: 8004 } as const;

/** Plain JavaScript, for it runs on its own inside the pod's network. It works when no clock runs. */
const podServer = `
  const { createHash } = require("node:crypto");
  const { readFileSync } = require("node:fs");
  const { createServer } = require("node:net");
  const payload = readFileSync(process.argv[1]);
  let taken = [];
  const servers = {
    ${podPorts.sink}: (socket) => {
      let missing = payload.length;
      taken = [];
      socket.on("data", (chunk) => {
        taken.push(chunk);
        missing -= chunk.length;
        if (missing <= 0) socket.end("taken");
      });
    },
    ${podPorts.source}: (socket) => socket.end(payload),
    ${podPorts.digest}: (socket) => {
      const hash = createHash("md5");
      for (const chunk of taken) hash.update(chunk);
      socket.end(hash.digest("hex"));
    },
    ${podPorts.greet}: (socket) => socket.end("x"),
  };
  let listening = 0;
  for (const [port, serve] of Object.entries(servers)) {
    const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket.on("error", () => {})));
    server.listen(Number(port), "127.0.0.1", () => {
      if (++listening === Object.keys(servers).length) console.log("listening");
    });
  }
`;

/** A pod of one runtime with a container that waits, and a server in its network. */
export class StreamingPod {
  private containers = 0;

  private constructor(
    readonly peer: MeasuredRuntime,
    private readonly clients: Clients,
    /** A folder of the node, which containers see as /data. */
    readonly folder: string,
    private readonly config: { readonly metadata: { name: string; namespace: string; uid: string } },
    private readonly podSandboxId: string,
  ) {}

  private main = "";
  private endServer: () => void = () => undefined;

  /** It goes with the lab. */
  static async open(
    lab: Lab,
    peer: MeasuredRuntime,
    folder: string,
    payload: Payload,
  ): Promise<StreamingPod> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "payload"), payload.bytes);
    const clients = createClients({ endpoint: peer.endpoint });
    const name = `streaming-${peer.name}`;
    const config = { metadata: { name, namespace: "bench", uid: name } };
    const options = { namespaceOptions: { network: peer.name === "containerd" ? 2 : 0 } };
    const { podSandboxId } = await clients.runtime.runPodSandbox({
      config: { ...config, linux: { securityContext: options } },
    });
    const pod = new StreamingPod(peer, clients, folder, config, podSandboxId);
    lab.defer(`the pod of ${peer.name}`, () => pod.close());
    const seconds = String(86_400 + Math.floor(Math.random() * 1e6));
    pod.main = await pod.start(["sleep", seconds]);
    await pod.serve(seconds);
    return pod;
  }

  /** Starts a container. @returns Its id. */
  async start(
    command: readonly string[],
    more: { stdin?: boolean; stdinOnce?: boolean } = {},
  ): Promise<string> {
    const { runtime } = this.clients;
    const { podSandboxId, config } = this;
    const { containerId } = await runtime.createContainer({
      podSandboxId,
      sandboxConfig: config,
      config: {
        metadata: { name: `container-${this.containers++}` },
        image: { image: this.peer.image },
        command: [...command],
        // Without it the defaults differ, and a seccomp filter costs an exec 20 ms.
        linux: { securityContext: { seccomp: { profileType: SecurityProfile_ProfileType.Unconfined } } },
        mounts: [{ hostPath: this.folder, containerPath: "/data" }],
        ...more,
      },
    });
    await runtime.startContainer({ containerId });
    return containerId;
  }

  /** What a runtime cannot remove goes with its pod. */
  async remove(containerId: string): Promise<void> {
    await this.clients.runtime.removeContainer({ containerId }).catch(() => undefined);
  }

  async exec(cmd: readonly string[], stdin = false): Promise<Process> {
    const wanted = { stdin, stdout: true, stderr: false, tty: false };
    const { url } = await this.clients.runtime.exec({ containerId: this.main, cmd: [...cmd], ...wanted });
    return await connectProcess(absolute(url), wanted);
  }

  async attach(containerId: string): Promise<Process> {
    const wanted = { stdin: true, stdout: true, stderr: false, tty: false };
    const { url } = await this.clients.runtime.attach({ containerId, ...wanted });
    return await connectProcess(absolute(url), wanted);
  }

  async forward(): Promise<Ports> {
    const { url } = await this.clients.runtime.portForward({ podSandboxId: this.podSandboxId });
    return await connectPortForward(absolute(url));
  }

  private async close(): Promise<void> {
    this.endServer();
    this.peer.service.signal("SIGCONT");
    // An error here must not hide the one that ended the measurement.
    await this.clients.runtime
      .removePodSandbox({ podSandboxId: this.podSandboxId })
      .catch((error: unknown) => process.stderr.write(`${this.peer.name}: ${String(error)}\n`));
    this.clients.close();
  }

  /** Runs the server in the network of the process that sleeps for so many seconds. */
  private async serve(seconds: string): Promise<void> {
    const pid = await processWith(seconds);
    const program = [process.execPath, "-e", podServer, join(this.folder, "payload")];
    const child = spawn("nsenter", [`--net=/proc/${pid}/ns/net`, ...program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.endServer = () => child.kill("SIGKILL");
    await Promise.race([
      once(child.stdout, "data"),
      once(child, "exit").then(() => {
        throw new Error("the server in the pod does not start");
      }),
    ]);
  }
}

/** cri-dockerd gives URLs without a scheme. */
function absolute(url: string): string {
  return url.startsWith("//") ? `http:${url}` : url;
}

/** The first process of this machine with such a word on its command line. */
async function processWith(word: string): Promise<string> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line === `sleep\0${word}\0`) return pid;
  }
  throw new Error(`no process sleeps for ${word} s`);
}
