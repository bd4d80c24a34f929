import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { describe, it } from "node:test";
import { createClients, type ContainerEventResponse } from "../../../src/client/index.js";
import { ContainerEventType, ContainerState } from "../../../src/gen/runtime/v1/api_pb.js";
import { isKind, nowNanos } from "../../../src/base/index.js";
import { ContainerEvents } from "../../../src/events/index.js";
import { Inventory, type LifeEvent, type WorkloadRecord } from "../../../src/inventory/index.js";
import { lifeEventsBetween } from "../../../src/inventory/life-events.js";
import { Network } from "../../../src/network/index.js";
import { createTestShim, type TestShim } from "../../../src/testing/index.js";
import { eventually, image } from "../inventory/lab.js";
import { LeasingNetwork } from "../sandbox/leasing-network.js";

type Heard = Omit<ContainerEventResponse, "$typeName">;

const names = {
  [ContainerEventType.CONTAINER_CREATED_EVENT]: "created",
  [ContainerEventType.CONTAINER_STARTED_EVENT]: "started",
  [ContainerEventType.CONTAINER_STOPPED_EVENT]: "stopped",
  [ContainerEventType.CONTAINER_DELETED_EVENT]: "deleted",
} as const;

/** A subscriber that reads all it can, until it is told to end. */
function listen({ shim }: TestShim) {
  const over = new AbortController();
  const heard: Heard[] = [];
  const reading = (async () => {
    for await (const event of shim.resolve(ContainerEvents).subscribe(over.signal)) heard.push(event);
  })();
  const ended = reading.catch((error: unknown) => {
    assert.ok(over.signal.aborted, String(error));
  });
  return {
    heard,
    of: (id: string) =>
      heard.filter(({ containerId }) => containerId === id).map((event) => names[event.containerEventType]),
    end: async () => {
      over.abort();
      await ended;
    },
  };
}

async function runPod({ shim }: TestShim, name: string, commands: readonly (readonly string[])[] = []) {
  const { runtime } = createClients(shim.inProcessTransport());
  const config = { metadata: { name, namespace: "default", uid: `uid-${name}`, attempt: 0 } };
  const { podSandboxId: pod } = await runtime.runPodSandbox({ config });
  const containers: string[] = [];
  for (const [index, command] of commands.entries()) {
    const { containerId } = await runtime.createContainer({
      podSandboxId: pod,
      config: { metadata: { name: `c${index}` }, image: { image }, command: [...command], linux: {} },
      sandboxConfig: config,
    });
    await runtime.startContainer({ containerId });
    containers.push(containerId);
  }
  return { pod, containers, runtime };
}

const forever = ["sleep", "infinity"];

describe("ContainerEvents", () => {
  it("emits each life event to each subscriber once and in order, from its subscription on", async () => {
    await using lab = await createTestShim({ images: [image] });
    const early = listen(lab);
    const { pod, containers, runtime } = await runPod(lab, "web", [forever, ["sh", "-c", "exit 3"]]);
    const [main = "", short = ""] = containers;
    await eventually("the short one has ended", () => early.of(short).includes("stopped"));
    const late = listen(lab);
    await pause(10);
    await runtime.removePodSandbox({ podSandboxId: pod });
    await eventually(
      "all is told",
      () => early.of(pod).includes("deleted") && late.of(pod).includes("deleted"),
    );
    for (const id of [pod, main, short])
      assert.deepEqual(early.of(id), ["created", "started", "stopped", "deleted"]);
    assert.deepEqual(late.of(main), ["stopped", "deleted"]);
    assert.deepEqual(late.of(short), ["deleted"]);
    await Promise.all([early.end(), late.end()]);
  });

  it("sets the pod's status and its containers' both, as the step left them, or neither", async () => {
    await using lab = await createTestShim({ images: [image] });
    const all = listen(lab);
    const { pod, containers, runtime } = await runPod(lab, "both", [["sh", "-c", "exit 3"], forever]);
    const [short = ""] = containers;
    await runtime.removePodSandbox({ podSandboxId: pod });
    await eventually("all is told", () => all.of(pod).includes("deleted"));
    for (const { containerId, containerEventType, podSandboxStatus, containersStatuses } of all.heard) {
      const type = names[containerEventType];
      if (podSandboxStatus === undefined) {
        assert.deepEqual([containerId, type, containersStatuses.length], [pod, "deleted", 0]);
        continue;
      }
      assert.equal(podSandboxStatus.id, pod);
      const own = containersStatuses.find(({ id }) => id === containerId);
      if (containerId === pod) continue;
      assert.equal(own === undefined, type === "deleted");
      if (containerId !== short || !own) continue;
      const states = {
        created: ContainerState.CONTAINER_CREATED,
        started: ContainerState.CONTAINER_RUNNING,
        stopped: ContainerState.CONTAINER_EXITED,
      };
      if (type !== "deleted") assert.equal(own.state, states[type]);
      if (type === "stopped") assert.equal(own.exitCode, 3);
    }
    await all.end();
  });

  it("has times that do not go back where Docker records an end before the start", async () => {
    await using lab = await createTestShim({ images: [image] });
    const inventory = lab.shim.resolve(Inventory);
    const { containers } = await runPod(lab, "short", [forever]);
    const { docker, ...rest } = inventory.workload(containers[0] ?? "");
    const startedAtNanos = nowNanos();
    const finishedAtNanos = startedAtNanos - 5_000_000n;
    const state = { ...docker.state, status: "exited", running: false, startedAtNanos, finishedAtNanos };
    const ended = { ...rest, docker: { ...docker, state } } as WorkloadRecord;
    let tell: ((event: LifeEvent) => void) | undefined;
    const subscribe = inventory.subscribe.bind(inventory);
    inventory.subscribe = (listener) => {
      tell = listener;
      return subscribe(listener);
    };
    const all = listen(lab);
    await eventually("it subscribes", () => tell !== undefined);
    for (const event of lifeEventsBetween(undefined, ended, nowNanos())) tell?.(event);
    await eventually("all is emitted", () => all.heard.length === 3);
    const [created, started, stopped] = all.heard.map(({ createdAt }) => createdAt);
    assert.ok(created && started && stopped && startedAtNanos <= created, String(created));
    assert.ok(created <= started && started <= stopped, `${created}, ${started}, ${stopped}`);
    await all.end();
  });

  it("gives times in nanoseconds that do not go back for a container", async () => {
    await using lab = await createTestShim({ images: [image] });
    const all = listen(lab);
    const { pod, containers, runtime } = await runPod(lab, "times", [["sh", "-c", "exit 0"]]);
    await runtime.removePodSandbox({ podSandboxId: pod });
    await eventually("all is told", () => all.of(pod).includes("deleted"));
    for (const id of [pod, ...containers]) {
      const times = all.heard
        .filter(({ containerId }) => containerId === id)
        .map(({ createdAt }) => createdAt);
      assert.deepEqual(
        times,
        [...times].sort((a, b) => Number(a - b)),
      );
      assert.ok(times.every((time) => time > 1_000_000_000_000_000_000n));
    }
    await all.end();
  });

  it("ends a subscriber that does not keep up, with all that it may still read, and lets the others be", async () => {
    await using lab = await createTestShim({ images: [image] });
    const { containers } = await runPod(lab, "busy", [forever]);
    const [id = ""] = containers;
    const inventory = lab.shim.resolve(Inventory);
    const listeners: ((step: never) => void)[] = [];
    const subscribe = inventory.subscribe.bind(inventory);
    inventory.subscribe = (listener) => {
      listeners.push(listener);
      return subscribe(listener);
    };
    const over = new AbortController();
    const slow = lab.shim.resolve(ContainerEvents).subscribe(over.signal);
    const first = slow.next();
    await pause(10);
    const [tell] = listeners;
    assert.ok(tell);
    const step = { type: "stopped", record: inventory.workload(id) };
    for (let count = 0; count < 5_000; count++) tell(step as never);
    assert.equal((await first).done, false);
    let read = 1;
    await assert.rejects(
      async () => {
        for await (const event of slow) read += event.containerId === id ? 1 : 0;
      },
      (error) => isKind(error, "resource-exhausted") && error.message.includes("subscribe again"),
    );
    assert.equal(read, 4_096);
    const other = listen(lab);
    await pause(10);
    lab.engine.exit(id, 0);
    await eventually("the other hears", () => other.of(id).includes("stopped"));
    await other.end();
  });

  it("ends with the error when an event cannot be built, also for a pod that is being created", async () => {
    for (const failing of ["while it is created", "later"]) {
      const network = new LeasingNetwork();
      await using lab = await createTestShim({
        images: [image],
        override: (parts) => {
          parts.register(Network, { useValue: network });
        },
      });
      const reading = (async () => {
        for await (const _ of lab.shim.resolve(ContainerEvents).subscribe(new AbortController().signal));
      })();
      const failed = assert.rejects(reading, /the addresses are gone/);
      const fails = () => {
        throw new Error("the addresses are gone");
      };
      const attach = network.attach.bind(network);
      network.attach = async (pod) => {
        if (failing === "while it is created") network.cachedIps = fails;
        return await attach(pod);
      };
      const { containers } = await runPod(lab, "mute", [forever]);
      if (failing === "later") network.cachedIps = fails;
      lab.engine.exit(containers[0] ?? "", 1);
      await failed;
    }
  });

  it("ends with its caller, though nothing happens, and leaves no listener", async () => {
    await using lab = await createTestShim({ images: [image] });
    const inventory = lab.shim.resolve(Inventory);
    let open = 0;
    const subscribe = inventory.subscribe.bind(inventory);
    inventory.subscribe = (listener) => {
      open++;
      const unsubscribe = subscribe(listener);
      return () => {
        open--;
        unsubscribe();
      };
    };
    const listening = Array.from({ length: 20 }, () => listen(lab));
    await pause(10);
    assert.equal(open, 20);
    await Promise.all(listening.map(({ end }) => end()));
    assert.equal(open, 0);
  });
});
