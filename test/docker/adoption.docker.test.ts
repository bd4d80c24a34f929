import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ContainerState, PodSandboxState, type Clients } from "../../src/client/index.js";
import { openLab, type CriDockerd } from "./lab/index.js";
import {
  assertSameTraces,
  openPodNode,
  podConfig,
  readyClients,
  servePeer,
  serveShim,
  untilReady,
  type PodNode,
  type ServedShim,
  type Traces,
} from "./pods-node.js";
import { until, untilEqual } from "./streams.js";

const image = "busybox:1.36";
/** The node's address on the pods' bridge. */
const gateway = "10.219.62.1";

interface MadePod {
  readonly podSandboxId: string;
  readonly containerId: string;
  readonly ip: string;
  readonly pid: string;
  readonly logFile: string;
}

const lab = openLab();
after(async () => {
  await lab.close();
});

describe("a node that changes over between cri-dockerd and docker-cri", { timeout: 600_000 }, () => {
  let node: PodNode;
  let clean: Traces;
  let peer: CriDockerd;
  let theirs: Clients;
  let ours: ServedShim;

  before(async () => {
    const dockerd = await lab.dockerd({ name: "adopt", engine: "20.10", liftNegativeOomScore: true });
    node = await openPodNode(lab, dockerd, "adopt", 62);
    await node.configure({ ipMasq: false });
    peer = await servePeer(lab, node);
    theirs = await readyClients(lab, peer.endpoint);
    clean = await node.traces();
  });

  async function make({ runtime }: Clients, name: string, hostPort: number): Promise<MadePod> {
    const logDirectory = join(node.dockerd.folder, "pod-logs", name);
    await mkdir(logDirectory, { recursive: true });
    const sandboxConfig = { ...podConfig(name, { hostPort }), logDirectory };
    const { podSandboxId } = await runtime.runPodSandbox({ config: sandboxConfig });
    const { containerId } = await runtime.createContainer({
      podSandboxId,
      sandboxConfig,
      config: {
        metadata: { name: "main", attempt: 0 },
        image: { image },
        command: ["sh", "-c", "echo from $0; trap exit TERM; sleep 86400 & wait", name],
        logPath: "main.log",
        mounts: [{ hostPath: logDirectory, containerPath: "/data", readonly: true }],
        linux: {},
      },
    });
    await runtime.startContainer({ containerId });
    const { status } = await runtime.podSandboxStatus({ podSandboxId });
    const ip = status?.network?.ip ?? "";
    const logFile = join(logDirectory, "main.log");
    // A runtime that is about to be killed has still to write it.
    await until(async () => (await readFile(logFile, "utf8").catch(() => "")).includes(`from ${name}`));
    return { podSandboxId, containerId, ip, pid: await pidOf(containerId), logFile };
  }

  async function pidOf(containerId: string): Promise<string> {
    const { stdout } = await node.dockerd.docker(["inspect", "-f", "{{.State.Pid}}", containerId]);
    return stdout.trim();
  }

  async function addSuffix(id: string): Promise<void> {
    const { stdout } = await node.dockerd.docker(["inspect", "-f", "{{.Name}}", id]);
    await node.dockerd.docker(["rename", id, `${stdout.trim().slice(1)}_0badf00d`]);
  }

  /** The pod is listed and told of as it was, and its container is the same process, still on the network. */
  async function assertRunsOn({ runtime }: Clients, pod: MadePod): Promise<void> {
    const { podSandboxId, containerId } = pod;
    const { items } = await runtime.listPodSandbox({ filter: { id: podSandboxId } });
    assert.deepEqual(
      items.map(({ state }) => state),
      [PodSandboxState.SANDBOX_READY],
    );
    const { status } = await runtime.podSandboxStatus({ podSandboxId });
    assert.equal(status?.network?.ip, pod.ip);
    const { containers } = await runtime.listContainers({ filter: { podSandboxId } });
    assert.deepEqual(
      containers.map(({ id, state }) => ({ id, state })),
      [{ id: containerId, state: ContainerState.CONTAINER_RUNNING }],
    );
    assert.equal(await pidOf(containerId), pod.pid);
    const { status: container } = await runtime.containerStatus({ containerId });
    const mount = container?.mounts.find(({ containerPath }) => containerPath === "/data");
    assert.deepEqual([mount?.hostPath, mount?.readonly], [dirname(pod.logFile), true]);
    // Of cri-dockerd's pods it is Docker's own file, of docker-cri's one in CRI's form: both stay readable.
    assert.match(await readFile(pod.logFile, "utf8"), new RegExp(`from ${basename(dirname(pod.logFile))}`));
    const { stdout, exitCode } = await runtime.execSync({
      containerId,
      cmd: ["echo", "still here"],
      timeout: 10n,
    });
    assert.equal(exitCode, 0);
    assert.equal(Buffer.from(stdout).toString(), "still here\n");
    const ping = await runtime.execSync({ containerId, cmd: ["ping", "-c", "1", gateway], timeout: 20n });
    assert.equal(ping.exitCode, 0, Buffer.from(ping.stdout).toString());
  }

  async function end({ runtime }: Clients, { podSandboxId, containerId }: MadePod): Promise<void> {
    await runtime.stopContainer({ containerId, timeout: 5n });
    await runtime.stopPodSandbox({ podSandboxId });
    await runtime.removeContainer({ containerId });
    await runtime.removePodSandbox({ podSandboxId });
  }

  it("keeps cri-dockerd's pods running, and ends them with their addresses given back", async () => {
    const pod = await make(theirs, "from-peer", 26_080);
    const withoutContainer = await make(theirs, "gone", 26_081);
    // As cri-dockerd names what it could not name otherwise.
    for (const id of [pod.podSandboxId, pod.containerId]) await addSuffix(id);
    await peer.service.kill();
    ours = await serveShim(lab, node);
    await assertRunsOn(ours.cri, pod);
    await node.dockerd.docker(["rm", "-f", withoutContainer.podSandboxId]);
    await ours.cri.runtime.stopPodSandbox({ podSandboxId: withoutContainer.podSandboxId });
    await ours.cri.runtime.removePodSandbox({ podSandboxId: withoutContainer.podSandboxId });
    await end(ours.cri, pod);
    await assertSameTraces(node, clean);
  });

  it("lets cri-dockerd go on with pods of docker-cri, and end them", async () => {
    const pod = await make(ours.cri, "from-us", 26_082);
    await ours.service.kill();
    await peer.service.start();
    await untilReady(theirs);
    await assertRunsOn(theirs, pod);
    await end(theirs, pod);
    // cri-dockerd knows nothing of the record of loopback and of the namespace that is kept: they go when we are back.
    const left = async () => {
      const { results, ...others } = await node.traces();
      const known = results.filter((file) => !file.startsWith("cni-loopback-"));
      return { ...others, results: known, namespaces: clean.namespaces };
    };
    await untilEqual(left, clean, 10_000);
    await peer.service.kill();
    await ours.service.start();
    await untilReady(ours.cri);
    await assertSameTraces(node, clean);
  });
});
