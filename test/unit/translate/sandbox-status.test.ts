import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DockerHostConfig } from "../../../src/docker/index.js";
import { NamespaceMode, PodSandboxState } from "../../../src/gen/runtime/v1/api_pb.js";
import { sandboxInfo, toPodSandbox, toPodSandboxStatus } from "../../../src/translate/index.js";
import { dockerSandbox, sandboxId } from "./docker-container.js";
import { refuses } from "./refuses.js";

const { SANDBOX_READY, SANDBOX_NOTREADY } = PodSandboxState;

describe("a sandbox", () => {
  for (const [name, state, expected] of [
    ["running", {}, SANDBOX_READY],
    ["created", { status: "created", running: false, startedAtNanos: undefined }, SANDBOX_NOTREADY],
    ["exited", { status: "exited", running: false, exitCode: 0, finishedAtNanos: 3n }, SANDBOX_NOTREADY],
    ["started again after its end", { finishedAtNanos: 3n, startedAtNanos: 4n }, SANDBOX_NOTREADY],
    ["dead", { status: "dead", running: false, dead: true }, SANDBOX_NOTREADY],
  ] as const) {
    it(`is ${PodSandboxState[expected]} when ${name}`, () => {
      const docker = dockerSandbox({ state });
      assert.equal(toPodSandbox(docker).state, expected);
      assert.equal(toPodSandboxStatus(docker, { ips: [] }).state, expected);
    });
  }

  it("is reported with the metadata of its name, and its caller's labels", () => {
    const docker = dockerSandbox();
    for (const told of [toPodSandbox(docker), toPodSandboxStatus(docker, { ips: [] })]) {
      assert.equal(told.id, sandboxId);
      assert.deepEqual(
        [told.metadata?.name, told.metadata?.namespace, told.metadata?.uid, told.metadata?.attempt],
        ["web-0", "shop", "1f-2e", 3],
      );
      assert.equal(told.createdAt, 1_000n);
      assert.deepEqual(told.labels, { app: "web" });
      assert.deepEqual(told.annotations, {});
    }
  });

  for (const [runtime, defaultRuntime, handler] of [
    ["runc", "runc", ""],
    [undefined, "runc", ""],
    [undefined, undefined, ""],
    ["kata", "runc", "kata"],
    ["runc", undefined, "runc"],
  ] as const) {
    it(`has handler "${handler}" with runtime ${runtime ?? "none"} and default ${defaultRuntime ?? "none"}`, () => {
      const docker = dockerSandbox({ host: runtime ? { runtime } : {} });
      assert.equal(toPodSandbox(docker, { defaultRuntime }).runtimeHandler, handler);
      assert.equal(toPodSandboxStatus(docker, { ips: [], defaultRuntime }).runtimeHandler, handler);
    });
  }

  for (const [ips, ip, additional] of [
    [[], "", []],
    [["10.0.0.2"], "10.0.0.2", []],
    [["10.0.0.2", "fd00::2", "10.1.0.2"], "10.0.0.2", ["fd00::2", "10.1.0.2"]],
    [["fd00::2"], "fd00::2", []],
  ] as const) {
    it(`has the address "${ip}" and ${additional.length} more`, () => {
      const { network } = toPodSandboxStatus(dockerSandbox(), { ips });
      assert.equal(network?.ip, ip);
      assert.deepEqual(
        network.additionalIps.map((each) => each.ip),
        additional,
      );
    });
  }

  const { POD, CONTAINER, NODE } = NamespaceMode;
  const shared = { "io.kubernetes.docker.pid-namespace": "pod" };
  const cases: [string, DockerHostConfig, Record<string, string>, NamespaceMode[]][] = [
    ["all its own", { networkMode: "none", ipcMode: "shareable" }, {}, [POD, CONTAINER, POD]],
    ["one PID namespace", { networkMode: "none", ipcMode: "shareable" }, shared, [POD, POD, POD]],
    ["the node's", { networkMode: "host", ipcMode: "host", pidMode: "host" }, {}, [NODE, NODE, NODE]],
  ];
  for (const [name, host, labels, expected] of cases) {
    it(`has ${name} namespaces`, () => {
      const docker = dockerSandbox({
        host,
        config: { labels: { "io.kubernetes.docker.type": "podsandbox", ...labels } },
      });
      const options = toPodSandboxStatus(docker, { ips: [] }).linux?.namespaces?.options;
      assert.deepEqual([options?.network, options?.pid, options?.ipc], expected);
    });
  }

  it("is described for people in JSON", () => {
    const { info } = sandboxInfo(dockerSandbox({ networkNamespacePath: "/run/docker/netns/1" }));
    const parsed = JSON.parse(info ?? "") as Record<string, unknown>;
    assert.equal(parsed["pid"], 42);
    assert.equal(parsed["networkNamespace"], "/run/docker/netns/1");
  });

  it("needs a name that is ours", () => {
    refuses("internal", /"x"/, () => toPodSandbox(dockerSandbox({ name: "x" })));
  });
});
