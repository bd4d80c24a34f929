import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CgroupDriver } from "../../../src/gen/runtime/v1/api_pb.js";
import { createMemoryDocker } from "../../../src/testing/index.js";
import { eventually, openRig, sandboxImage, type Rig } from "../sandbox/rig.js";

async function conditionsOf({ runtime }: Rig) {
  const { status } = await runtime.status({});
  const told = (wanted: string) => {
    const found = status?.conditions.find(({ type }) => type === wanted);
    return found && { ok: found.status, reason: found.reason, message: found.message };
  };
  return { runtime: told("RuntimeReady"), network: told("NetworkReady") };
}

describe("the runtime", () => {
  it("is ready with its network, declares its handlers, and refuses user namespaces in them", async () => {
    await using rig = await openRig();
    const good = { ok: true, reason: "", message: "" };
    assert.deepEqual(await conditionsOf(rig), { runtime: good, network: good });
    const { runtimeHandlers, info } = await rig.runtime.status({});
    assert.deepEqual(info, {});
    assert.deepEqual(
      runtimeHandlers.map(({ name }) => name),
      ["", "runc"],
    );
    assert.ok(runtimeHandlers.every(({ features }) => features?.userNamespaces === false));
  });

  it("reports its configuration when asked for more", async () => {
    await using rig = await openRig();
    const { info } = await rig.runtime.status({ verbose: true });
    const config = JSON.parse(info["config"] ?? "{}") as { sandboxImage?: string; docker?: object };
    assert.equal(config.sandboxImage, sandboxImage);
    assert.ok(config.docker);
  });

  it("passes on why the network is not ready", async () => {
    await using rig = await openRig();
    rig.network.ready = false;
    assert.deepEqual((await conditionsOf(rig)).network, {
      ok: false,
      reason: "NetworkPluginNotReady",
      message: "no network",
    });
  });

  it("is not ready while Docker does not answer, and is again afterwards", async () => {
    const engine = createMemoryDocker({ images: [sandboxImage] });
    await using rig = await openRig({ engine });
    engine.faults.on("events.subscribe", { error: "unavailable", message: "refused", times: 3 });
    engine.faults.events.breakStream();
    await eventually("Docker is lost", async () => {
      const { runtime } = await conditionsOf(rig);
      return runtime?.ok === false && runtime.reason === "DockerDaemonNotReady";
    });
    await eventually("Docker is back", async () => (await conditionsOf(rig)).runtime?.ok === true);
  });

  it("reports Docker's cgroup driver, and passes the pod CIDR to the network", async () => {
    await using rig = await openRig();
    const { linux } = await rig.runtime.runtimeConfig({});
    const { cgroupDriver } = await rig.engine.system.info();
    assert.equal(
      linux?.cgroupDriver,
      cgroupDriver === "systemd" ? CgroupDriver.SYSTEMD : CgroupDriver.CGROUPFS,
    );
    await rig.runtime.updateRuntimeConfig({
      runtimeConfig: { networkConfig: { podCidr: "10.1.0.0/24,fd00:1::/64" } },
    });
    assert.equal(rig.network.podCidr, "10.1.0.0/24,fd00:1::/64");
  });
});
