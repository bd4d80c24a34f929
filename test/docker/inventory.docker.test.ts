import assert from "node:assert/strict";
import { open, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  ContainerConfigSchema,
  ContainerEventType,
  ContainerState,
  PodSandboxConfigSchema,
  type ContainerEventResponse,
} from "../../src/client/index.js";
import { containerLabels, containerName } from "../../src/translate/index.js";
import { isAlive, openLab, run, signal, waitUntil, type Dockerd, type EngineName } from "./lab/index.js";
import { processInfo } from "./lab/processes.js";
import { EventsProxy } from "./proxy/events-proxy.js";
import {
  openNode,
  podConfig,
  poll,
  runContainer,
  runPod,
  untilDockerAgrees,
  type NodeInView,
} from "./proxy/node-in-view.js";
import { until, untilDeaf } from "./streams.js";

const forever = ["sh", "-c", "trap exit TERM; sleep 86400 & wait"];

/** Only SIGKILL ends it: its exit code is 137 whatever else Docker sends first. */
const deaf = ["sh", "-c", "trap '' TERM; sleep 86400"];

const lab = openLab();
after(async () => {
  await lab.close();
});

/** Starts to hear what GetContainerEvents tells; resolves with a look at all that was heard. */
async function hear({
  cri,
}: NodeInView): Promise<{ heard: ContainerEventResponse[]; end: () => Promise<void> }> {
  const over = new AbortController();
  const heard: ContainerEventResponse[] = [];
  const reading = (async () => {
    for await (const event of cri.runtime.getContainerEvents({}, { signal: over.signal })) heard.push(event);
  })().catch((error: unknown) => {
    if (!over.signal.aborted) throw error;
  });
  await pause(50);
  return {
    heard,
    end: async () => {
      over.abort();
      await reading;
    },
  };
}

/** The arguments of `docker run` that make a container of ours, behind the shim's back. */
function runArguments(pod: string, podId: string, name: string, ...rest: string[]): string[] {
  const sandbox = create(PodSandboxConfigSchema, podConfig(pod));
  const config = create(ContainerConfigSchema, { metadata: { name, attempt: 0 } });
  assert.ok(sandbox.metadata && config.metadata);
  const labels = Object.entries(containerLabels(config, sandbox, podId));
  return [
    "run",
    "--network=none",
    ...labels.flatMap(([key, value]) => ["--label", `${key}=${value}`]),
    "--name",
    containerName(sandbox.metadata, config.metadata),
    ...rest,
  ];
}

const typeNames = (events: readonly ContainerEventResponse[]) =>
  events.map(({ containerEventType }) => ContainerEventType[containerEventType].split("_")[1]?.toLowerCase());

for (const engine of ["20.10", "26.1"] as const satisfies readonly EngineName[]) {
  describe(`the inventory on Docker ${engine}`, { timeout: 240_000 }, () => {
    let dockerd: Dockerd;
    before(async () => {
      dockerd = await lab.dockerd({ name: "inventory", engine, iptables: false });
    });
    after(async () => {
      await dockerd.stop();
    });

    it("is right within 3 s after dockerd was killed and started under a polling client", async () => {
      await using node = await openNode(dockerd);
      const id = await runPod(node, "killed");
      for (const name of ["a", "b", "c"]) await runContainer(node, { id, name: "killed" }, name, forever);
      const polling = poll(node, { pods: 1, containers: 3 });
      await dockerd.kill();
      await pause(1_000);
      const { status } = await node.cri.runtime.status({});
      assert.equal(status?.conditions.find(({ type }) => type === "RuntimeReady")?.status, false);
      await dockerd.start();
      await untilDockerAgrees(node);
      await polling.end();
      await node.cri.runtime.removePodSandbox({ podSandboxId: id });
      await untilDockerAgrees(node);
    });

    it("is right within 3 s though all events are lost, and though they come late", async () => {
      await using proxy = await EventsProxy.open(join(dockerd.folder, "proxy.sock"), dockerd.socketPath);
      await using node = await openNode(dockerd, proxy.endpoint);
      const id = await runPod(node, "lossy");
      const polling = poll(node, { pods: 1, containers: 0 });
      const make = (name: string) => runContainer(node, { id, name: "lossy" }, name, forever);
      const [killed, removed, late] = [await make("killed"), await make("removed"), await make("late")];
      proxy.losing = true;
      await dockerd.docker(["kill", killed]);
      await dockerd.docker(["wait", killed]);
      await dockerd.docker(["rm", "-f", removed]);
      await dockerd.docker(runArguments("lossy", id, "unseen", "-d", "busybox:1.36", "sleep", "60"));
      await untilDockerAgrees(node);
      proxy.losing = false;
      proxy.delayMs = 5_000;
      await dockerd.docker(["kill", late]);
      await dockerd.docker(["wait", late]);
      await untilDockerAgrees(node);
      const ended = await node.cri.runtime.containerStatus({ containerId: late });
      await pause(5_500);
      assert.deepEqual(await node.cri.runtime.containerStatus({ containerId: late }), ended);
      await untilDockerAgrees(node);
      assert.ok(proxy.lost > 0 && proxy.late > 0, `${proxy.lost} pieces lost, ${proxy.late} late`);
      await polling.end();
      await node.cri.runtime.removePodSandbox({ podSandboxId: id });
    });

    it("knows how containers ended that were removed or started again within milliseconds", async () => {
      await using node = await openNode(dockerd);
      const id = await runPod(node, "quick");
      const events = await hear(node);
      const quick = ["busybox:1.36", "sh", "-c", "exit 9"];
      const greedy = ["--memory=16m", "--memory-swap=16m", "busybox:1.36", "tail", "/dev/zero"];
      const began = BigInt(Date.now()) * 1_000_000n;
      const once = { allowFailure: true };
      // Of some of them Docker notes the end before the start.
      const brief = ["exit9", ...Array.from({ length: 10 }, (_, index) => `brief${index}`)];
      const ended = [...brief, "oom"];
      for (const name of brief) await dockerd.docker(runArguments("quick", id, name, "--rm", ...quick), once);
      await dockerd.docker(runArguments("quick", id, "oom", "--rm", ...greedy), once);
      const again = await runContainer(node, { id, name: "quick" }, "again", deaf);
      await untilDeaf(dockerd, again);
      await dockerd.docker(["restart", "--time=0", again]);
      await untilDockerAgrees(node);
      const types = (name: string) => typeNames(eventsOf(events.heard, name));
      await waitUntil(
        () => ended.every((name) => types(name).includes("deleted")) && types("again").length === 4,
        30_000,
      );
      const life = ["created", "started", "stopped", "deleted"];
      for (const name of ended) assert.deepEqual(types(name), life, name);
      assert.deepEqual(types("again"), ["created", "started", "stopped", "started"]);
      const end = (name: string) =>
        eventsOf(events.heard, name)
          .find(({ containerEventType }) => containerEventType === ContainerEventType.CONTAINER_STOPPED_EVENT)
          ?.containersStatuses.find(({ metadata }) => metadata?.name === name);
      assert.equal(end("exit9")?.exitCode, 9);
      assert.ok((end("exit9")?.finishedAt ?? 0n) > began);
      assert.equal(end("oom")?.exitCode, 137);
      assert.equal(end("oom")?.reason, "OOMKilled");
      assert.equal(end("again")?.exitCode, 137);
      for (const { podSandboxStatus, containersStatuses } of events.heard)
        assert.ok(podSandboxStatus !== undefined || containersStatuses.length === 0);
      await events.end();
      await node.cri.runtime.removePodSandbox({ podSandboxId: id });
    });

    it("does not report a container without a process as running, even if Docker does", async () => {
      await using node = await openNode(dockerd);
      const id = await runPod(node, "ghost");
      const containerId = await runContainer(node, { id, name: "ghost" }, "main", forever);
      const { stdout } = await dockerd.docker(["inspect", "--format", "{{.State.Pid}}", containerId]);
      const ghost = processInfo(Number(stdout));
      const shim = ghost && processInfo(ghost.parentPid);
      assert.ok(shim);
      const stateOf = async () => (await node.cri.runtime.containerStatus({ containerId })).status?.state;
      // Nobody reports the end while the process's own keeper is frozen.
      signal(shim, "SIGSTOP");
      try {
        signal(ghost, "SIGKILL");
        await until(async () => (await stateOf()) === ContainerState.CONTAINER_UNKNOWN);
        assert.equal(isAlive(ghost), false);
      } finally {
        signal(shim, "SIGCONT");
      }
      await untilDockerAgrees(node);
      assert.equal(await stateOf(), ContainerState.CONTAINER_EXITED);
      await node.cri.runtime.removePodSandbox({ podSandboxId: id });
    });
  });
}

describe("the inventory on Docker 20.10, for longer", { timeout: 240_000 }, () => {
  let dockerd: Dockerd;
  before(async () => {
    dockerd = await lab.dockerd({ name: "inventory", iptables: false });
  });

  it("survives a dockerd frozen for 20 s, and is correct within 3 s afterwards", async () => {
    await using node = await openNode(dockerd);
    const id = await runPod(node, "frozen");
    const containerId = await runContainer(node, { id, name: "frozen" }, "main", forever);
    const { stdout } = await dockerd.docker(["inspect", "--format", "{{.State.Pid}}", containerId]);
    const polling = poll(node, { pods: 1, containers: 1 });
    dockerd.pause();
    const process = processInfo(Number(stdout));
    assert.ok(process);
    signal(process, "SIGKILL");
    await pause(20_000);
    const { status } = await node.cri.runtime.status({});
    assert.equal(status?.conditions.find(({ type }) => type === "RuntimeReady")?.status, false);
    dockerd.resume();
    await untilDockerAgrees(node);
    const { status: ended } = await node.cri.runtime.containerStatus({ containerId });
    assert.equal(ended?.exitCode, 137);
    await polling.end();
    await node.cri.runtime.removePodSandbox({ podSandboxId: id });
  });

  it("sees 200 containers die at once, each once, with its exit code", async () => {
    await using node = await openNode(dockerd);
    const id = await runPod(node, "crowd");
    const gate = join(dockerd.folder, "gate");
    await mkdir(gate);
    await run("mkfifo", [join(gate, "fifo")]);
    const left = Array.from({ length: 200 }, (_, index) => index);
    const makers = Array.from({ length: 6 }, async () => {
      for (let index = left.pop(); index !== undefined; index = left.pop()) {
        const command = ["sh", "-c", `read line < /gate/fifo; exit ${index % 100}`];
        await runContainer(node, { id, name: "crowd" }, `c${index}`, command, gate);
      }
    });
    await Promise.all(makers);
    const events = await hear(node);
    const polling = poll(node, { pods: 1, containers: 200 });
    // All wait for a line, those too that have not come to it yet: opened for both, a pipe waits for nobody.
    await using lines = await open(join(gate, "fifo"), "r+");
    await lines.write("\n".repeat(200));
    const allDead = async () => {
      const { stdout } = await dockerd.docker([
        "ps",
        "-q",
        "--filter",
        "label=io.kubernetes.docker.type=container",
      ]);
      return stdout.trim() === "";
    };
    assert.ok(await waitUntil(allDead, 60_000), "Docker did not see all of them die");
    await untilDockerAgrees(node);
    const { containers } = await node.cri.runtime.listContainers({});
    for (const { id: containerId, metadata } of containers) {
      const { status } = await node.cri.runtime.containerStatus({ containerId });
      assert.equal(status?.exitCode, Number(metadata?.name.slice(1)) % 100);
    }
    const stops = events.heard.filter(
      ({ containerEventType }) => containerEventType === ContainerEventType.CONTAINER_STOPPED_EVENT,
    );
    assert.equal(new Set(stops.map(({ containerId }) => containerId)).size, 200);
    assert.equal(stops.length, 200);
    await polling.end();
    await events.end();
  });
});

/** What was heard of the container with a name. */
function eventsOf(heard: readonly ContainerEventResponse[], name: string): ContainerEventResponse[] {
  const id = heard
    .flatMap(({ containersStatuses }) => containersStatuses)
    .find(({ metadata }) => metadata?.name === name)?.id;
  return heard.filter(({ containerId }) => containerId === id);
}
