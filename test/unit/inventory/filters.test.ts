import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClients, type Clients } from "../../../src/client/index.js";
import {
  ContainerState,
  ContainerStateValueSchema,
  PodSandboxState,
  PodSandboxStateValueSchema,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { create } from "@bufbuild/protobuf";
import { createTestShim, type TestShim } from "../../../src/testing/index.js";
import { image } from "./lab.js";

/** Two pods: `a` with a running and an exited container, `b`, which has stopped, with a created one. */
describe("filters of lists", () => {
  let lab: TestShim;
  let cri: Clients;
  const ids: Record<string, string> = {};
  const nameOf = (id: string) => Object.entries(ids).find(([, known]) => known === id)?.[0] ?? id;

  async function makePod(name: string, labels: Record<string, string>): Promise<void> {
    const config = { metadata: { name, namespace: "default", uid: `uid-${name}`, attempt: 0 }, labels };
    ids[name] = (await cri.runtime.runPodSandbox({ config })).podSandboxId;
  }

  async function makeContainer(pod: string, name: string, labels: Record<string, string>): Promise<string> {
    const { containerId } = await cri.runtime.createContainer({
      podSandboxId: ids[pod] ?? "",
      config: { metadata: { name }, image: { image }, command: ["sleep", "infinity"], labels, linux: {} },
      sandboxConfig: { metadata: { name: pod, namespace: "default", uid: `uid-${pod}`, attempt: 0 } },
    });
    ids[name] = containerId;
    return containerId;
  }

  before(async () => {
    lab = await createTestShim({ images: [image] });
    cri = createClients(lab.shim.inProcessTransport());
    await makePod("a", { app: "web", tier: "front" });
    await makePod("b", { app: "db", tier: "" });
    await cri.runtime.startContainer({ containerId: await makeContainer("a", "runs", { app: "web" }) });
    const ended = await makeContainer("a", "ended", { app: "web", old: "yes" });
    await cri.runtime.startContainer({ containerId: ended });
    await cri.runtime.stopContainer({ containerId: ended, timeout: 0n });
    await makeContainer("b", "new", { app: "db" });
    await cri.runtime.stopPodSandbox({ podSandboxId: ids["b"] ?? "" });
  });
  after(() => lab[Symbol.asyncDispose]());

  const inState = (state: ContainerState) => create(ContainerStateValueSchema, { state });
  const id = (name: string) => ids[name] ?? "";
  const containerTable = [
    ["nothing", () => ({}), ["ended", "new", "runs"]],
    ["a full id", () => ({ id: id("runs") }), ["runs"]],
    ["the beginning of an id", () => ({ id: id("runs").slice(0, 13) }), ["runs"]],
    ["an unknown id", () => ({ id: "0".repeat(64) }), []],
    ["a pod's id", () => ({ id: id("a") }), []],
    ["running", () => ({ state: inState(ContainerState.CONTAINER_RUNNING) }), ["runs"]],
    ["created, which is 0", () => ({ state: inState(ContainerState.CONTAINER_CREATED) }), ["new"]],
    ["exited", () => ({ state: inState(ContainerState.CONTAINER_EXITED) }), ["ended"]],
    ["a pod", () => ({ podSandboxId: id("a") }), ["ended", "runs"]],
    ["the beginning of a pod's id", () => ({ podSandboxId: id("b").slice(0, 13) }), ["new"]],
    ["a label", () => ({ labelSelector: { app: "web" } }), ["ended", "runs"]],
    ["two labels", () => ({ labelSelector: { app: "web", old: "yes" } }), ["ended"]],
    ["a label with another value", () => ({ labelSelector: { app: "w" } }), []],
    ["a label that is not there, empty", () => ({ labelSelector: { none: "" } }), []],
    ["a name that every object has", () => ({ labelSelector: { constructor: "x" } }), []],
    [
      "all that hold",
      () => ({
        id: id("ended"),
        podSandboxId: id("a"),
        state: inState(ContainerState.CONTAINER_EXITED),
        labelSelector: { old: "yes" },
      }),
      ["ended"],
    ],
    ["all but the pod", () => ({ id: id("ended"), podSandboxId: id("b") }), []],
    ["all but the state", () => ({ id: id("ended"), state: inState(ContainerState.CONTAINER_RUNNING) }), []],
    ["all but a label", () => ({ podSandboxId: id("a"), labelSelector: { app: "db" } }), []],
  ] as const;
  for (const [what, filter, expected] of containerTable) {
    it(`containers by ${what}`, async () => {
      const { containers } = await cri.runtime.listContainers({ filter: filter() });
      assert.deepEqual(containers.map((each) => nameOf(each.id)).sort(), expected);
      const streamed: string[] = [];
      for await (const chunk of cri.runtime.streamContainers({ filter: filter() }))
        streamed.push(...chunk.containers.map((each) => nameOf(each.id)));
      assert.deepEqual(streamed.sort(), expected);
    });
  }

  const podInState = (state: PodSandboxState) => create(PodSandboxStateValueSchema, { state });
  const podTable = [
    ["nothing", () => ({}), ["a", "b"]],
    ["a full id", () => ({ id: id("b") }), ["b"]],
    ["the beginning of an id", () => ({ id: id("a").slice(0, 13) }), ["a"]],
    ["a container's id", () => ({ id: id("runs") }), []],
    ["ready, which is 0", () => ({ state: podInState(PodSandboxState.SANDBOX_READY) }), ["a"]],
    ["not ready", () => ({ state: podInState(PodSandboxState.SANDBOX_NOTREADY) }), ["b"]],
    ["a label", () => ({ labelSelector: { app: "db" } }), ["b"]],
    ["an empty label", () => ({ labelSelector: { tier: "" } }), ["b"]],
    [
      "all that hold",
      () => ({
        id: id("a"),
        state: podInState(PodSandboxState.SANDBOX_READY),
        labelSelector: { app: "web", tier: "front" },
      }),
      ["a"],
    ],
    ["all but the state", () => ({ id: id("b"), state: podInState(PodSandboxState.SANDBOX_READY) }), []],
  ] as const;
  for (const [what, filter, expected] of podTable) {
    it(`pods by ${what}`, async () => {
      const { items } = await cri.runtime.listPodSandbox({ filter: filter() });
      assert.deepEqual(items.map((each) => nameOf(each.id)).sort(), expected);
      const streamed: string[] = [];
      for await (const chunk of cri.runtime.streamPodSandboxes({ filter: filter() }))
        streamed.push(...chunk.podSandboxes.map((each) => nameOf(each.id)));
      assert.deepEqual(streamed.sort(), expected);
    });
  }
});
