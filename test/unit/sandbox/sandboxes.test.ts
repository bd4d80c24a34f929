import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { ShimError } from "../../../src/base/index.js";
import { ContainerEvents } from "../../../src/events/index.js";
import { ContainerEventType, ContainerState, PodSandboxState } from "../../../src/gen/runtime/v1/api_pb.js";
import { createMemoryDocker } from "../../../src/testing/index.js";
import {
  checkpointFolder,
  eventually,
  image,
  openRig,
  podConfig,
  runContainer,
  sandboxImage,
  type Rig,
} from "./rig.js";

async function assertNothingHeld({ engine, network }: Rig): Promise<void> {
  assert.deepEqual([...network.leases.keys()], []);
  assert.deepEqual(await engine.host.files.list(checkpointFolder), []);
}

describe("pods", () => {
  it("are shown with their address, and have their own resolv.conf", async () => {
    await using rig = await openRig();
    const { podSandboxId } = await rig.runtime.runPodSandbox({ config: podConfig("dns") });
    const { status } = await rig.runtime.podSandboxStatus({ podSandboxId });
    assert.equal(status?.network?.ip, "10.1.0.2");
    const { resolvConfPath } = await rig.engine.containers.inspect(podSandboxId);
    assert.ok(resolvConfPath);
    assert.equal(
      (await rig.engine.host.files.read(resolvConfPath)).toString(),
      "nameserver 10.0.0.10\nsearch cluster.local\noptions ndots:5\n",
    );
  });

  it("leave nothing behind when the network refuses them, and report its error", async () => {
    await using rig = await openRig();
    rig.network.failures.attach = new ShimError("unavailable", "no address is left in the range");
    await assert.rejects(rig.runtime.runPodSandbox({ config: podConfig("full") }), {
      code: Code.Unavailable,
      message: /no address is left in the range/,
    });
    assert.deepEqual(await rig.engine.containers.list(), []);
    await assertNothingHeld(rig);
  });

  it("report that the root directory is full, and leave nothing behind", async () => {
    await using rig = await openRig();
    for (const method of ["files.writeAtomic", "files.overwrite"]) {
      rig.engine.host.faults.on(method, { code: "ENOSPC", times: 1 });
      await assert.rejects(rig.runtime.runPodSandbox({ config: podConfig("full") }), {
        code: Code.ResourceExhausted,
        message: /cannot write the .*(checkpoint|resolv\.conf).*ENOSPC: no space left on device.*free space/,
      });
      assert.deepEqual(await rig.engine.containers.list(), []);
      await assertNothingHeld(rig);
    }
  });

  it("can be created by a retry at once when the rollback of a failed call failed", async () => {
    await using rig = await openRig();
    rig.network.failures.attach = new ShimError("unavailable", "no address is left in the range");
    rig.network.failures.detach = new ShimError("unavailable", "the plugin is being replaced");
    await assert.rejects(rig.runtime.runPodSandbox({ config: podConfig("again") }), /no address is left/);
    const [leftover] = await rig.engine.containers.list();
    assert.ok(leftover);
    delete rig.network.failures.attach;
    await assert.rejects(rig.runtime.runPodSandbox({ config: podConfig("again") }), /being replaced/);
    delete rig.network.failures.detach;
    const { podSandboxId } = await rig.runtime.runPodSandbox({ config: podConfig("again") });
    assert.notEqual(podSandboxId, leftover.id);
    assert.deepEqual([...rig.network.leases.keys()], [podSandboxId]);
    assert.deepEqual(await rig.engine.host.files.list(checkpointFolder), [podSandboxId]);
    assert.equal((await rig.engine.containers.list()).length, 1);
  });

  it("are not given to a second caller after a restart, once they have a container", async () => {
    const before = await openRig();
    const { engine, network } = before;
    const config = podConfig("known");
    const { podSandboxId } = await before.runtime.runPodSandbox({ config });
    await before.shim.close();
    await using rig = await openRig({ engine, network });
    assert.equal((await rig.runtime.runPodSandbox({ config })).podSandboxId, podSandboxId);
    const containerId = await runContainer(rig, podSandboxId, "known");
    await rig.shim.close();
    await using next = await openRig({ engine, network });
    await assert.rejects(next.runtime.runPodSandbox({ config }), { code: Code.AlreadyExists });
    const { status } = await next.runtime.containerStatus({ containerId });
    assert.equal(status?.state, ContainerState.CONTAINER_RUNNING);
  });

  it("lose their containers and addresses when they are stopped, and can be stopped and removed again", async () => {
    await using rig = await openRig();
    const { podSandboxId } = await rig.runtime.runPodSandbox({ config: podConfig("twice") });
    await runContainer(rig, podSandboxId, "twice");
    await rig.runtime.stopPodSandbox({ podSandboxId });
    const { containers } = await rig.runtime.listContainers({});
    assert.deepEqual(
      containers.map(({ state }) => state),
      [ContainerState.CONTAINER_EXITED],
    );
    const { items } = await rig.runtime.listPodSandbox({});
    assert.deepEqual(
      items.map(({ state }) => state),
      [PodSandboxState.SANDBOX_NOTREADY],
    );
    assert.equal(rig.network.leases.size, 0);
    await rig.runtime.stopPodSandbox({ podSandboxId });
    for (const _ of [1, 2]) await rig.runtime.removePodSandbox({ podSandboxId });
    await rig.runtime.stopPodSandbox({ podSandboxId });
    assert.deepEqual(await rig.engine.containers.list(), []);
    await assertNothingHeld(rig);
  });

  it("are not ready before they have their addresses", async () => {
    await using rig = await openRig();
    const states = async () => {
      const { items } = await rig.runtime.listPodSandbox({});
      const [pod] = items;
      const { status } = await rig.runtime.podSandboxStatus({ podSandboxId: pod?.id ?? "" });
      return [pod?.state, status?.state];
    };
    const seen: unknown[] = [];
    const attach = rig.network.attach.bind(rig.network);
    rig.network.attach = async (...given) => {
      seen.push(...(await states()));
      return await attach(...given);
    };
    await rig.runtime.runPodSandbox({ config: podConfig("early") });
    const { SANDBOX_NOTREADY, SANDBOX_READY } = PodSandboxState;
    assert.deepEqual(seen, [SANDBOX_NOTREADY, SANDBOX_NOTREADY]);
    assert.deepEqual(await states(), [SANDBOX_READY, SANDBOX_READY]);
  });

  it("have the events of their creation once they have their addresses", async () => {
    await using rig = await openRig();
    const over = new AbortController();
    const events: [ContainerEventType, PodSandboxState | undefined, string | undefined][] = [];
    const reading = (async () => {
      for await (const event of rig.shim.resolve(ContainerEvents).subscribe(over.signal)) {
        const { state, network } = event.podSandboxStatus ?? {};
        events.push([event.containerEventType, state, network?.ip]);
      }
    })().catch(() => undefined);
    const attach = rig.network.attach.bind(rig.network);
    rig.network.attach = async (...given) => {
      await delay(50);
      return await attach(...given);
    };
    const { podSandboxId } = await rig.runtime.runPodSandbox({ config: podConfig("evented") });
    const { status } = await rig.runtime.podSandboxStatus({ podSandboxId });
    await eventually("both events have arrived", () => events.length >= 2);
    over.abort();
    await reading;
    assert.deepEqual(events.at(-1), [
      ContainerEventType.CONTAINER_STARTED_EVENT,
      PodSandboxState.SANDBOX_READY,
      status?.network?.ip,
    ]);
    assert.deepEqual(
      events.map(([type]) => type),
      [ContainerEventType.CONTAINER_CREATED_EVENT, ContainerEventType.CONTAINER_STARTED_EVENT],
    );
  });

  it("are disconnected while their namespace lives", async () => {
    await using rig = await openRig();
    const { podSandboxId } = await rig.runtime.runPodSandbox({ config: podConfig("order") });
    const running: boolean[] = [];
    const detach = rig.network.detach.bind(rig.network);
    rig.network.detach = async (pod) => {
      running.push((await rig.engine.containers.inspect(podSandboxId)).state.running);
      assert.match(pod.netnsPath ?? "", /^\/proc\/\d+\/ns\/net$/);
      await detach(pod);
    };
    await rig.runtime.stopPodSandbox({ podSandboxId });
    assert.deepEqual(running, [true]);
  });

  it("give their addresses back, with their containers stopped, when another program removes their sandbox", async () => {
    await using rig = await openRig();
    const { podSandboxId } = await rig.runtime.runPodSandbox({ config: podConfig("behind") });
    const containerId = await runContainer(rig, podSandboxId, "behind");
    await rig.engine.containers.remove(podSandboxId, { force: true });
    await eventually("the address is back", () => rig.network.leases.size === 0);
    await eventually(
      "the record is gone",
      async () => (await rig.engine.host.files.list(checkpointFolder)).length === 0,
    );
    const { status } = await rig.runtime.containerStatus({ containerId });
    assert.equal(status?.state, ContainerState.CONTAINER_EXITED);
    await rig.runtime.stopPodSandbox({ podSandboxId });
    await rig.runtime.removePodSandbox({ podSandboxId });
    assert.deepEqual((await rig.runtime.listContainers({})).containers, []);
  });

  it("stay on record when the network does not take their address back, and are tried again", async () => {
    await using rig = await openRig();
    const { podSandboxId } = await rig.runtime.runPodSandbox({ config: podConfig("stuck") });
    rig.network.failures.detach = new ShimError("internal", "the plugin hangs");
    await assert.rejects(rig.runtime.stopPodSandbox({ podSandboxId }), /the plugin hangs/);
    assert.equal((await rig.engine.containers.inspect(podSandboxId)).state.running, true);
    await assert.rejects(rig.runtime.removePodSandbox({ podSandboxId }), /the plugin hangs/);
    delete rig.network.failures.detach;
    await rig.runtime.removePodSandbox({ podSandboxId });
    await assertNothingHeld(rig);
  });
});

/** Holds every attach up until released. */
function slowAttach({ network }: Rig): { readonly begun: () => number; release(): void } {
  let begun = 0;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const attach = network.attach.bind(network);
  network.attach = async (pod) => {
    begun++;
    await released;
    return attach(pod);
  };
  return {
    begun: () => begun,
    release: () => {
      release();
    },
  };
}

describe("a call whose caller has gone while the network was slow", () => {
  it("leaves its pod to a retry that waits", async () => {
    await using rig = await openRig();
    const slow = slowAttach(rig);
    const config = podConfig("slow");
    await assert.rejects(rig.runtime.runPodSandbox({ config }, { timeoutMs: 500 }), {
      code: Code.DeadlineExceeded,
    });
    const retry = rig.runtime.runPodSandbox({ config });
    await new Promise((resolve) => setTimeout(resolve, 50));
    slow.release();
    const { podSandboxId } = await retry;
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([...rig.network.leases.keys()], [podSandboxId]);
    const { status } = await rig.runtime.podSandboxStatus({ podSandboxId });
    assert.equal(status?.state, PodSandboxState.SANDBOX_READY);
    assert.equal(status.network?.ip, "10.1.0.2");
    assert.equal(slow.begun(), 1);
  });

  it("has its pod removed where no retry waits, before the next call makes one", async () => {
    await using rig = await openRig();
    const slow = slowAttach(rig);
    const config = podConfig("gone");
    const cut = [500, 550].map((timeoutMs) =>
      assert.rejects(rig.runtime.runPodSandbox({ config }, { timeoutMs }), { code: Code.DeadlineExceeded }),
    );
    await Promise.all(cut);
    let undone = (): void => undefined;
    const undoing = new Promise<void>((resolve) => (undone = resolve));
    const detach = rig.network.detach.bind(rig.network);
    rig.network.detach = async (pod) => {
      await undoing;
      await detach(pod);
    };
    slow.release();
    await eventually("the pod has its address", () => rig.network.leases.size === 1);
    const [abandoned] = rig.network.leases.keys();
    const retry = rig.runtime.runPodSandbox({ config });
    await new Promise((resolve) => setTimeout(resolve, 50));
    undone();
    const { podSandboxId } = await retry;
    assert.notEqual(podSandboxId, abandoned);
    assert.deepEqual([...rig.network.leases.keys()], [podSandboxId]);
    assert.deepEqual(await rig.engine.host.files.list(checkpointFolder), [podSandboxId]);
    const { items } = await rig.runtime.listPodSandbox({});
    assert.deepEqual(
      items.map(({ id, state }) => [id, state]),
      [[podSandboxId, PodSandboxState.SANDBOX_READY]],
    );
  });

  it("never gives a retry a pod that could only be removed in part", async () => {
    await using rig = await openRig();
    const slow = slowAttach(rig);
    const config = podConfig("part");
    await assert.rejects(rig.runtime.runPodSandbox({ config }, { timeoutMs: 500 }), {
      code: Code.DeadlineExceeded,
    });
    rig.engine.faults.on("containers.remove", { error: "internal", message: "device busy" });
    slow.release();
    await eventually("the removal has failed", () => rig.logged.some(({ err }) => /busy/.test(String(err))));
    assert.equal(rig.network.leases.size, 0);
    rig.engine.faults.clear();
    const { podSandboxId } = await rig.runtime.runPodSandbox({ config });
    assert.deepEqual([...rig.network.leases.keys()], [podSandboxId]);
    assert.equal((await rig.engine.containers.list()).length, 1);
  });
});

describe("a pod whose sandbox was started again by another", () => {
  it("is not ready, shows no address, and starts no containers, but those that it has are shown", async () => {
    await using rig = await openRig();
    const { podSandboxId } = await rig.runtime.runPodSandbox({ config: podConfig("again") });
    const containerId = await runContainer(rig, podSandboxId, "again");
    await rig.engine.containers.stop(podSandboxId, { graceSeconds: 0 });
    await rig.engine.containers.start(podSandboxId);
    await eventually("the pod is not ready", async () => {
      const { items } = await rig.runtime.listPodSandbox({});
      return items[0]?.state === PodSandboxState.SANDBOX_NOTREADY;
    });
    const { status } = await rig.runtime.podSandboxStatus({ podSandboxId });
    assert.equal(status?.state, PodSandboxState.SANDBOX_NOTREADY);
    assert.equal(status.network?.ip, "");
    const { containers } = await rig.runtime.listContainers({ filter: { podSandboxId } });
    assert.deepEqual(
      containers.map(({ id }) => id),
      [containerId],
    );
    const { containerId: late } = await rig.runtime.createContainer({
      podSandboxId,
      sandboxConfig: podConfig("again"),
      config: { metadata: { name: "late" }, image: { image }, command: ["sleep", "infinity"] },
    });
    await assert.rejects(rig.runtime.startContainer({ containerId: late }), {
      code: Code.FailedPrecondition,
      message: /its pod needs a new sandbox/,
    });
    await rig.runtime.stopPodSandbox({ podSandboxId });
    assert.equal((await rig.engine.containers.inspect(podSandboxId)).state.running, false);
    await rig.runtime.removePodSandbox({ podSandboxId });
    await assertNothingHeld(rig);
  });
});

describe("a shim that starts", () => {
  it("releases what pods without containers hold, and keeps that of the others", async () => {
    const before = await openRig();
    const ghost = await before.runtime.runPodSandbox({ config: podConfig("ghost") });
    const living = await before.runtime.runPodSandbox({ config: podConfig("living") });
    await before.shim.close();
    const { engine, network } = before;
    await engine.containers.remove(ghost.podSandboxId, { force: true });
    await using rig = await openRig({ engine, network });
    await eventually("only the living pod is left", () => !network.leases.has(ghost.podSandboxId));
    await eventually("the network is cleaned", () => network.spared.length > 1);
    assert.deepEqual(network.spared.at(-1), [living.podSandboxId]);
    assert.deepEqual([...network.leases.keys()], [living.podSandboxId]);
    assert.deepEqual(await engine.host.files.list(checkpointFolder), [living.podSandboxId]);
    const { items } = await rig.runtime.listPodSandbox({});
    assert.deepEqual(
      items.map(({ id }) => id),
      [living.podSandboxId],
    );
  });
});

describe("a shim that takes over", () => {
  it("checks each pod's network, and reports the pods that fail", async () => {
    const before = await openRig();
    const ids: string[] = [];
    for (const name of ["whole", "broken", "old", "stopped"]) {
      ids.push((await before.runtime.runPodSandbox({ config: podConfig(name) })).podSandboxId);
    }
    const [whole = "", broken = "", old = "", stopped = ""] = ids;
    await before.runtime.stopPodSandbox({ podSandboxId: stopped });
    await before.shim.close();
    const { engine, network } = before;
    network.failures.check = new Map([
      [broken, new ShimError("failed-precondition", "veth is gone")],
      [old, new ShimError("unsupported", "CHECK came with 0.4.0")],
    ]);
    await using rig = await openRig({ engine, network });
    await eventually("all that run were looked at", () => network.checked.length === 3);
    assert.deepEqual([...network.checked].sort(), [whole, broken, old].sort());
    await eventually("the log says it", () => rig.logged.some(({ pods }) => Array.isArray(pods)));
    const told = rig.logged.find(({ pods }) => Array.isArray(pods));
    assert.deepEqual([told?.["pods"], told?.["err"]], [[broken], "veth is gone"]);
    const { items } = await rig.runtime.listPodSandbox({});
    assert.equal(items.length, 4);
  });

  it("removes a checkpoint that a crash truncated, and keeps foreign files", async () => {
    const engine = createMemoryDocker({ images: [sandboxImage, image] });
    const torn = `.${"ab".repeat(32)}.0123456789ab.tmp`;
    for (const name of [torn, ".other.tmp"])
      await engine.host.files.writeAtomic(`${checkpointFolder}/${name}`, "{");
    await using _rig = await openRig({ engine });
    assert.deepEqual(await engine.host.files.list(checkpointFolder), [".other.tmp"]);
  });

  it("removes pods and containers that were created and never started, after their grace time, and logs it", async () => {
    const before = await openRig();
    const { podSandboxId } = await before.runtime.runPodSandbox({ config: podConfig("home") });
    const config = { metadata: { name: "idle" }, image: { image }, command: ["sleep", "infinity"] };
    const sandboxConfig = podConfig("home");
    const idle = await before.runtime.createContainer({ podSandboxId, sandboxConfig, config });
    const running = await runContainer(before, podSandboxId, "home");
    const { engine, network } = before;
    const { host, ...home } = await engine.containers.inspect(podSandboxId);
    const name = "k8s_POD_lost_default_uid-lost_0";
    const lost = await engine.containers.create({ name, config: home.config, host });
    await before.shim.close();

    const patient = await openRig({ engine, network });
    await eventually("the first sweep is over", () => network.checked.length > 0);
    assert.equal((await engine.containers.list()).length, 4);
    await patient.shim.close();

    await using rig = await openRig({ engine, network, orphanGraceMs: 1 });
    await eventually("they are gone", async () => (await engine.containers.list()).length === 2);
    const left = (await engine.containers.list()).map(({ id }) => id);
    assert.deepEqual(left.sort(), [podSandboxId, running].sort());
    const why = "it was created long ago, never started, and no call claims it";
    assert.ok(rig.logged.some((line) => line["sandbox"] === lost.id && line["why"] === why));
    assert.ok(rig.logged.some((line) => line["container"] === idle.containerId && line["why"] === why));
    const { status } = await rig.runtime.containerStatus({ containerId: running });
    assert.equal(status?.state, ContainerState.CONTAINER_RUNNING);
  });
});

describe("a pod whose pause image cannot be had", () => {
  it("is refused with the image's name when its registry does not have it", async () => {
    await using rig = await openRig({ engine: createMemoryDocker({ images: [image] }) });
    rig.engine.registry.remove(sandboxImage);
    await rig.engine.images.remove(sandboxImage).catch(() => undefined);
    await assert.rejects(
      rig.runtime.runPodSandbox({ config: podConfig("pauseless") }),
      /the sandbox image registry\.k8s\.io\/pause:3\.10 is not on the node and could not be pulled/,
    );
    assert.deepEqual(await rig.engine.containers.list(), []);
  });

  it("gets the error before the caller's deadline when the registry does not answer", async () => {
    const engine = createMemoryDocker({ images: [image] });
    engine.registry.behave("registry.k8s.io/pause", { stall: true });
    await using rig = await openRig({ engine });
    await assert.rejects(rig.runtime.runPodSandbox({ config: podConfig("slow") }, { timeoutMs: 3_000 }), {
      message: /the sandbox image registry\.k8s\.io\/pause:3\.10 is not on the node.*that the caller waits/,
    });
    assert.deepEqual(await engine.containers.list(), []);
  });
});
