import assert from "node:assert/strict";
import { readlink } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { openLab, type Dockerd, type EngineName } from "./lab/index.js";
import { openNode, podConfig, type NodeInView } from "./proxy/node-in-view.js";

const lab = openLab();
after(async () => {
  await lab.close();
});

// What a dockerd sets for every container that does not say otherwise.
const extraConfig = { "no-new-privileges": true, init: true, "default-cgroupns-mode": "private" };

for (const engine of ["20.10", "26.1"] as const satisfies readonly EngineName[]) {
  describe(`dockerd's defaults for containers, Docker ${engine}`, { timeout: 240_000 }, () => {
    let dockerd: Dockerd;
    let node: NodeInView;
    const sandboxConfig = {
      ...podConfig("defaults"),
      linux: { securityContext: { privileged: true } },
    };
    let podSandboxId: string;

    before(async () => {
      dockerd = await lab.dockerd({
        name: "defaults",
        engine,
        iptables: false,
        liftNegativeOomScore: true,
        extraConfig,
      });
      node = await openNode(dockerd);
      ({ podSandboxId } = await node.cri.runtime.runPodSandbox({ config: sandboxConfig }));
    });
    after(async () => {
      await node.cri.runtime.removePodSandbox({ podSandboxId });
      await node[Symbol.asyncDispose]();
      await dockerd.stop();
    });

    async function look(name: string, securityContext: object) {
      const config = {
        metadata: { name },
        image: { image: "busybox:1.36" },
        command: ["sh", "-c", "trap exit TERM; sleep 86400 & wait"],
        linux: { securityContext: { namespaceOptions: { pid: 1 }, ...securityContext } },
      };
      const { containerId } = await node.cri.runtime.createContainer({ podSandboxId, sandboxConfig, config });
      await node.cri.runtime.startContainer({ containerId });
      const cmd = [
        "sh",
        "-c",
        "cat /proc/1/comm; grep NoNewPrivs /proc/1/status; readlink /proc/1/ns/cgroup",
      ];
      const { stdout } = await node.cri.runtime.execSync({ containerId, cmd });
      return Buffer.from(stdout).toString().trim().split("\n");
    }

    it("do not change a container's CRI status", async () => {
      const [init, noNewPrivs] = await look("plain", {});
      assert.deepEqual([init, noNewPrivs], ["sh", "NoNewPrivs:\t0"]);
      assert.equal((await look("no-new-privs", { noNewPrivs: true }))[1], "NoNewPrivs:\t1");
    });

    it("leave a privileged container in the node's cgroup namespace", async () => {
      assert.equal(
        (await look("privileged", { privileged: true }))[2],
        await readlink("/proc/self/ns/cgroup"),
      );
    });
  });
}
