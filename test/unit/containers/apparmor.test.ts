import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { createClients, SecurityProfile_ProfileType as ProfileType } from "../../../src/client/index.js";
import { createMemoryDocker } from "../../../src/drivers/memory/index.js";
import { createShim } from "../../../src/index.js";
import { containerConfig, fails, forever, image, podConfig } from "./lab.js";

const profiles = "/sys/kernel/security/apparmor/profiles";

/** A node whose Docker uses AppArmor, and what its kernel has loaded. */
async function openNode(loaded: string | undefined) {
  const engine = createMemoryDocker({ images: ["registry.k8s.io/pause:3.10", image] });
  if (loaded !== undefined) {
    engine.host.tree.makeDirectory("/sys/kernel/security/apparmor");
    engine.host.tree.replace(profiles, loaded, 0o444);
  }
  const info = engine.system.info.bind(engine.system);
  engine.system.info = async (options) => ({ ...(await info(options)), securityOptions: ["name=apparmor"] });
  const shim = await createShim({
    engine,
    host: engine.host,
    logLevel: "silent",
    network: { plugin: "none" },
  });
  await shim.start();
  const { runtime } = createClients(shim.inProcessTransport());
  const { podSandboxId } = await runtime.runPodSandbox({ config: podConfig });
  const named = (localhostRef: string) => ({
    securityContext: { apparmor: { profileType: ProfileType.Localhost, localhostRef } },
  });
  return {
    engine,
    create: async (localhostRef: string) => {
      const config = containerConfig("c", forever, { linux: named(localhostRef) });
      return (await runtime.createContainer({ podSandboxId, sandboxConfig: podConfig, config })).containerId;
    },
    runPod: (localhostRef: string) =>
      runtime.runPodSandbox({
        config: {
          ...podConfig,
          metadata: { ...podConfig.metadata, name: "other" },
          linux: named(localhostRef),
        },
      }),
    [Symbol.asyncDispose]: async () => {
      await shim.close();
      await engine.close();
    },
  };
}

describe("an AppArmor profile that a pod names", () => {
  const loaded = "docker-default (enforce)\nmy profile (complain)\nk8s-app (enforce)\n";

  it("is refused at create by its name when the node has not loaded it", async () => {
    await using node = await openNode(loaded);
    await fails(node.create("k8s-ap"), Code.FailedPrecondition, /"k8s-ap" is not loaded.*apparmor_parser/);
    await fails(node.create("localhost/gone"), Code.FailedPrecondition, /"gone"/);
    await fails(node.runPod("gone"), Code.FailedPrecondition, /"gone" is not loaded/);
    const { length } = await node.engine.containers.list();
    assert.equal(length, 1, "only the first pod's sandbox");
  });

  it("is Docker's to use when it is loaded", async () => {
    await using node = await openNode(loaded);
    const { host } = await node.engine.containers.inspect(await node.create("my profile"));
    assert.ok(host.securityOpt?.includes("apparmor=my profile"));
    await node.runPod("k8s-app");
  });

  it("is left to the start where the kernel's list cannot be read", async () => {
    await using node = await openNode(undefined);
    await node.create("gone");
  });
});
