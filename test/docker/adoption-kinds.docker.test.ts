import assert from "node:assert/strict";
import { mkdir, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ContainerState, NamespaceMode, PodSandboxState, type Clients } from "../../src/client/index.js";
import type { ContainerConfig, ContainerConfigSchema } from "../../src/gen/runtime/v1/api_pb.js";
import { openLab, waitUntil, type CriDockerd } from "./lab/index.js";
import {
  assertSameTraces,
  eachAtOnce,
  openPodNode,
  podConfig,
  readyClients,
  servePeer,
  serveShim,
  type PodNode,
  type PodWish,
  type ServedShim,
  type Traces,
} from "./pods-node.js";

const { CONTAINER_EXITED, CONTAINER_RUNNING } = ContainerState;
const { SANDBOX_NOTREADY, SANDBOX_READY } = PodSandboxState;
const image = "busybox:1.36";
const forever = "trap 'exit 0' TERM; while :; do echo line; sleep 0.2; done";

type ContainerWish = Exclude<MessageInitShape<typeof ContainerConfigSchema>, ContainerConfig>;

interface Made {
  readonly podSandboxId: string;
  readonly containerId: string;
}

/** A pod of cri-dockerd, what befalls it while no shim runs, and how docker-cri has to show it. */
interface Kind {
  readonly wish?: PodWish;
  readonly privileged?: boolean;
  readonly script?: string;
  readonly container?: ContainerWish;
  /** Before the change of the shim. */
  readonly ends?: true;
  readonly meanwhile?: (pod: Made) => Promise<unknown>;
  readonly pod?: PodSandboxState;
  /** State, exit code and reason; absent: it runs. */
  readonly ended?: readonly [exitCode: number, reason: string];
}

const lab = openLab();
after(async () => {
  await lab.close();
});

describe(
  "pods of every kind that cri-dockerd made, and their change to docker-cri",
  { timeout: 600_000 },
  () => {
    let node: PodNode;
    let clean: Traces;
    let peer: CriDockerd;
    let theirs: Clients;
    let ours: ServedShim;
    const made = new Map<string, Made>();

    const docker = async (...args: string[]) => await node.dockerd.docker(args);
    const checkpointOf = ({ podSandboxId }: Made) => join(node.root, "sandbox", podSandboxId);
    let port = 26_100;
    const damaged = (damage: (path: string) => Promise<unknown>): Kind => ({
      wish: { hostPort: port++ },
      meanwhile: async (pod) => await damage(checkpointOf(pod)),
    });

    const kinds: Readonly<Record<string, Kind>> = {
      "host-network": { wish: { hostNetwork: true } },
      "host-port": { wish: { hostPort: port++ } },
      privileged: { privileged: true },
      failed: { script: "exit 3", ends: true, ended: [3, "Error"] },
      completed: { script: "exit 0", ends: true, ended: [0, "Completed"] },
      "out-of-memory": {
        script: "tail /dev/zero",
        container: { linux: { resources: { memoryLimitInBytes: 33_554_432n } } },
        ends: true,
        ended: [137, "OOMKilled"],
      },
      "container-killed": {
        meanwhile: async ({ containerId }) => await docker("kill", containerId),
        ended: [137, "Error"],
      },
      "sandbox-killed": {
        wish: { hostPort: port++ },
        meanwhile: async ({ podSandboxId }) => await docker("kill", podSandboxId),
        pod: SANDBOX_NOTREADY,
      },
      "checkpoint-empty": damaged((path) => truncate(path)),
      "checkpoint-cut": damaged((path) => truncate(path, 40)),
      "checkpoint-garbage": damaged((path) => writeFile(path, Buffer.alloc(4096, 0xff))),
      "checkpoint-types": damaged((path) =>
        writeFile(path, '{"name":7,"data":{"port_mappings":[{"host_port":"x"}]},"checksum":{}}'),
      ),
      "checkpoint-huge": damaged((path) => truncate(path, 2 ** 31)),
      "checkpoint-gone": damaged((path) => rm(path)),
      "checkpoint-folder": damaged(async (path) => {
        await rm(path);
        await mkdir(path);
      }),
      "checkpoint-link": damaged(async (path) => {
        await rm(path);
        await symlink("/dev/zero", path);
      }),
    };

    before(async () => {
      const dockerd = await lab.dockerd({ name: "kinds", engine: "26.1", liftNegativeOomScore: true });
      node = await openPodNode(lab, dockerd, "kinds", 63);
      await node.configure({ ipMasq: false });
      peer = await servePeer(lab, node);
      theirs = await readyClients(lab, peer.endpoint);
      clean = await node.traces();
      await eachAtOnce(Object.entries(kinds), 4, async ([name, kind]) => {
        made.set(name, await make(name, kind));
      });
      await peer.service.kill();
      for (const [name, { meanwhile }] of Object.entries(kinds)) await meanwhile?.(podOf(name));
      ours = await serveShim(lab, node, { extraArgs: ["--log-mode=docker-json"] });
    });

    function podOf(name: string): Made {
      const pod = made.get(name);
      assert.ok(pod, name);
      return pod;
    }

    async function make(name: string, { wish = {}, privileged = false, ...kind }: Kind): Promise<Made> {
      const { runtime } = theirs;
      const logDirectory = join(node.dockerd.folder, "pod-logs", name);
      await mkdir(logDirectory, { recursive: true });
      const base = podConfig(name, wish);
      const securityContext = { ...base.linux.securityContext, privileged };
      const sandboxConfig = { ...base, logDirectory, linux: { securityContext } };
      const { podSandboxId } = await runtime.runPodSandbox({ config: sandboxConfig });
      const { containerId } = await runtime.createContainer({
        podSandboxId,
        sandboxConfig,
        config: {
          metadata: { name: "main", attempt: 0 },
          image: { image },
          command: ["sh", "-c", kind.script ?? forever],
          logPath: "main.log",
          // Else cri-dockerd has it share the sandbox's processes, and end with them.
          linux: { securityContext: { privileged, namespaceOptions: { pid: NamespaceMode.CONTAINER } } },
          ...kind.container,
        },
      });
      await runtime.startContainer({ containerId });
      const state = async () => (await runtime.containerStatus({ containerId })).status?.state;
      if (kind.ends)
        assert.ok(await waitUntil(async () => (await state()) === CONTAINER_EXITED, 30_000), name);
      return { podSandboxId, containerId };
    }

    for (const [name, { pod = SANDBOX_READY, ended }] of Object.entries(kinds)) {
      it(`shows ${name} as it is, and runs commands in what runs`, async () => {
        const { runtime } = ours.cri;
        const { podSandboxId, containerId } = podOf(name);
        const { status: sandbox } = await runtime.podSandboxStatus({ podSandboxId });
        assert.equal(sandbox?.state, pod);
        const { status } = await runtime.containerStatus({ containerId });
        const found = status && [status.state, status.exitCode, status.reason];
        assert.deepEqual(found, ended ? [CONTAINER_EXITED, ...ended] : [CONTAINER_RUNNING, 0, ""]);
        if (ended) return;
        const { stdout } = await runtime.execSync({ containerId, cmd: ["echo", name], timeout: 10n });
        assert.equal(Buffer.from(stdout).toString(), `${name}\n`);
      });
    }

    it("ends them all, and nothing of them is left", async () => {
      const { runtime } = ours.cri;
      await eachAtOnce([...made.values()], 4, async ({ podSandboxId, containerId }) => {
        await runtime.stopContainer({ containerId, timeout: 2n });
        await runtime.stopPodSandbox({ podSandboxId });
        await runtime.removePodSandbox({ podSandboxId });
      });
      await assertSameTraces(node, clean);
    });
  },
);
