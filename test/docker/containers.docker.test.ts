import assert from "node:assert/strict";
import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  ContainerState,
  MountPropagation,
  type ContainerConfig,
  type ContainerConfigSchema,
} from "../../src/client/index.js";
import { NodeHost } from "../../src/drivers/node/index.js";
import { openLab, run, type Dockerd, type EngineName } from "./lab/index.js";
import { openNode, podConfig, runContainer, runPod, type NodeInView } from "./proxy/node-in-view.js";
import { processesWith, until, untilDeaf } from "./streams.js";

const forever = ["sh", "-c", "trap exit TERM; sleep 86400 & wait"];

const lab = openLab();
after(async () => {
  await lab.close();
});

/** A container's configuration as a caller writes it. */
type Config = Exclude<MessageInitShape<typeof ContainerConfigSchema>, ContainerConfig>;

for (const engine of ["20.10", "26.1"] as const satisfies readonly EngineName[]) {
  describe(`containers on Docker ${engine}`, { timeout: 240_000 }, () => {
    let dockerd: Dockerd;
    let node: NodeInView;
    let pod: { readonly id: string; readonly name: string };
    const word = `864${engine.replace(".", "")}`;

    before(async () => {
      dockerd = await lab.dockerd({ name: "containers", engine, iptables: false });
      node = await openNode(dockerd);
      pod = { id: await runPod(node, "rooms"), name: "rooms" };
    });
    after(async () => {
      await node.cri.runtime.removePodSandbox({ podSandboxId: pod.id });
      await node[Symbol.asyncDispose]();
      await dockerd.stop();
    });

    async function create(name: string, command: string[], more: Config = {}): Promise<string> {
      const config = { metadata: { name }, image: { image: "busybox:1.36" }, command, linux: {}, ...more };
      const request = { podSandboxId: pod.id, sandboxConfig: podConfig(pod.name), config };
      return (await node.cri.runtime.createContainer(request)).containerId;
    }

    async function statusOf(containerId: string) {
      const { status } = await node.cri.runtime.containerStatus({ containerId });
      assert.ok(status);
      return status;
    }

    it("shows a command that cannot be run as exited, with its name", async () => {
      const containerId = await create("bad", ["/no/such/program"]);
      await assert.rejects(node.cri.runtime.startContainer({ containerId }), /\/no\/such\/program/);
      const { state, reason, message, exitCode } = await statusOf(containerId);
      assert.deepEqual([state, reason], [ContainerState.CONTAINER_EXITED, "ContainerCannotRun"]);
      assert.match(message, /\/no\/such\/program/);
      assert.notEqual(exitCode, 0);
      const { containers } = await node.cri.runtime.listContainers({ filter: { id: containerId } });
      assert.equal(containers[0]?.state, ContainerState.CONTAINER_EXITED);
    });

    async function runOutOfMemory(name: string, command: string[]) {
      const linux = { resources: { memoryLimitInBytes: 15n << 20n } };
      const containerId = await create(name, command, { linux });
      await node.cri.runtime.startContainer({ containerId });
      await until(async () => (await statusOf(containerId)).state === ContainerState.CONTAINER_EXITED);
      return { containerId, ...(await statusOf(containerId)) };
    }

    it("reports OOMKilled when a child was OOM killed, and not for another SIGKILL", async () => {
      const { reason } = await runOutOfMemory("oom", ["sh", "-c", "tail /dev/zero; exit $?"]);
      assert.equal(reason, "OOMKilled");
      const killed = await runOutOfMemory("killed", ["sh", "-c", "sh -c 'kill -9 $$'; exit 137"]);
      assert.deepEqual([killed.reason, killed.exitCode], ["Error", 137]);
    });

    it("gives OOMKilled as the reason each time that the first process was killed, which Docker can miss", async (t) => {
      const kernelLog = await new NodeHost().kernel.openOomLog();
      t.after(() => kernelLog.close());
      let missed = 0;
      for (let time = 0; time < 20; time++) {
        // The kernel tells of no more than ten kills in 5 s.
        await pause(600);
        const command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=20M"];
        const { containerId, reason, exitCode } = await runOutOfMemory(`oom-${time}`, command);
        assert.deepEqual([reason, exitCode], ["OOMKilled", 137]);
        const { stdout } = await dockerd.docker(["inspect", "-f", "{{.State.OOMKilled}}", containerId]);
        if (stdout.trim() === "false") missed++;
        const told = (await kernelLog.read()).map(({ cgroup }) => cgroup);
        assert.ok(
          told.some((cgroup) => cgroup.includes(containerId)),
          `the kernel's log names ${told.join()}`,
        );
      }
      t.diagnostic(`Docker ${engine} has missed ${missed} of 20`);
    });

    it("kills a command and all that it started when ExecSync's time is up", async () => {
      const containerId = await runContainer(node, pod, "timeout", forever);
      // A child, one that its parent has left to process 1, and one with a session of its own.
      const cmd = ["sh", "-c", `sleep ${word} & (sleep ${word} &); (setsid sleep ${word} &); sleep ${word}`];
      await assert.rejects(
        node.cri.runtime.execSync({ containerId, cmd, timeout: 1n }),
        /timed out after 1 s/,
      );
      await until(async () => (await processesWith(word)).length === 0);
      assert.equal((await statusOf(containerId)).state, ContainerState.CONTAINER_RUNNING);
    });

    it("runs 200 commands at once, reports their exit codes, and leaves nothing behind", async () => {
      const containerId = await runContainer(node, pod, "many", forever);
      const results = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          node.cri.runtime.execSync({ containerId, cmd: ["sh", "-c", `echo ${index}; exit ${index % 3}`] }),
        ),
      );
      for (const [index, { stdout, exitCode }] of results.entries()) {
        assert.deepEqual([Buffer.from(stdout).toString(), exitCode], [`${index}\n`, index % 3]);
      }
      // Docker 20.10 forgets an exec a moment after it has told of its end.
      await until(async () => {
        const { stdout } = await dockerd.docker(["inspect", "-f", "{{.ExecIDs}}", containerId]);
        return /^(\[\]|<no value>)\s*$/.test(stdout);
      });
      for (const program of ["/no/such/program", "no-such-program", "/etc"]) {
        const { exitCode } = await node.cri.runtime.execSync({ containerId, cmd: [program] });
        // Which of the two is the engine's choice: some say 126 of a file that is not there.
        assert.ok(exitCode === 126 || exitCode === 127, `${program}: ${exitCode}`);
      }
    });

    it("kills a process that ignores SIGTERM after the grace period", async () => {
      const containerId = await runContainer(node, pod, "deaf", ["sh", "-c", "trap '' TERM; sleep 86400"]);
      await untilDeaf(dockerd, containerId);
      const began = Date.now();
      await node.cri.runtime.stopContainer({ containerId, timeout: 1n });
      assert.ok(Date.now() - began >= 950 && Date.now() - began < 15_000);
      assert.equal((await statusOf(containerId)).exitCode, 137);
    });

    it("changes limits while it runs, and shows them at once", async () => {
      const containerId = await runContainer(node, pod, "limits", forever);
      await node.cri.runtime.updateContainerResources({
        containerId,
        linux: { memoryLimitInBytes: 96n << 20n, cpuPeriod: 100_000n, cpuQuota: 30_000n },
      });
      const limits = (await statusOf(containerId)).resources?.linux;
      assert.deepEqual([limits?.memoryLimitInBytes, limits?.cpuQuota], [96n << 20n, 30_000n]);
      const inKernel = async () => {
        const cmd = [
          "sh",
          "-c",
          "cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max",
        ];
        return Buffer.from((await node.cri.runtime.execSync({ containerId, cmd })).stdout).toString();
      };
      assert.equal(await inKernel(), `${96 << 20}\n`);
      await node.cri.runtime.updateContainerResources({ containerId, linux: { cpuShares: 128n } });
      assert.equal(await inKernel(), `${96 << 20}\n`);
      await assert.rejects(
        node.cri.runtime.updateContainerResources({
          containerId,
          linux: { cpuShares: 256n, hugepageLimits: [{ pageSize: "2MB", limit: 1n }] },
        }),
        /hugepage_limits/,
      );
      const after = (await statusOf(containerId)).resources?.linux;
      assert.deepEqual([after?.cpuShares, after?.cpuQuota], [128n, 30_000n]);
    });

    it("refuses to start a running or exited container, and handles concurrent stops and removes", async () => {
      const containerId = await runContainer(node, pod, "once", forever);
      const startAgain = () => node.cri.runtime.startContainer({ containerId });
      await assert.rejects(startAgain(), { code: Code.FailedPrecondition });
      await Promise.all(
        [1n, 1n, 0n].map((timeout) => node.cri.runtime.stopContainer({ containerId, timeout })),
      );
      await assert.rejects(startAgain(), { code: Code.FailedPrecondition });
      await Promise.all([1, 2, 3].map(() => node.cri.runtime.removeContainer({ containerId })));
      await node.cri.runtime.stopContainer({ containerId, timeout: 1n });
    });

    it("shows an image as a volume, read-only, with nothing of Docker's own in it, and lets it go", async () => {
      const image = "busybox:1.36";
      const folder = `${dockerd.folder}/shim/image-volumes`;
      const mounts = [
        { containerPath: "/whole", readonly: true, image: { image } },
        { containerPath: "/part", readonly: true, image: { image }, imageSubPath: "bin" },
      ];
      const one = await create("volume1", forever, { mounts });
      const two = await create("volume2", forever, { mounts: mounts.slice(0, 1) });
      assert.equal((await readdir(folder)).length, 1);
      for (const containerId of [one, two]) await node.cri.runtime.startContainer({ containerId });
      const sh = async (script: string) => {
        const cmd = ["sh", "-c", script];
        const { stdout, stderr, exitCode } = await node.cri.runtime.execSync({ containerId: one, cmd });
        return `${Buffer.from(stdout).toString()}${Buffer.from(stderr).toString()}${exitCode}`;
      };
      assert.match(await sh("/part/busybox echo runs"), /^runs\n0$/);
      assert.match(await sh("echo x > /whole/x"), /Read-only file system/);
      assert.match(await sh("ls -d /whole/.dockerenv"), /No such file/);
      assert.deepEqual(
        (await statusOf(one)).mounts
          .map((mount) => [mount.containerPath, mount.image?.image, mount.imageSubPath, mount.readonly])
          .sort(),
        [
          ["/part", image, "bin", true],
          ["/whole", image, "", true],
        ],
      );
      await assert.rejects(
        create("volume3", forever, {
          mounts: [{ containerPath: "/x", readonly: true, image: { image }, imageSubPath: "none" }],
        }),
        /has no sub-path "none"/,
      );
      await node.cri.runtime.removeContainer({ containerId: one });
      assert.equal((await readdir(folder)).length, 1);
      await node.cri.runtime.removeContainer({ containerId: two });
      const { stdout } = await dockerd.docker(["ps", "-aq", "--filter", "name=docker-cri-export"]);
      assert.equal(stdout.trim(), "");
    });

    it("shows mounts with their propagation", async () => {
      const hostPath = `${dockerd.folder}/mounted`;
      await mkdir(hostPath, { recursive: true });
      await run("mount", ["-t", "tmpfs", "tmpfs", hostPath]);
      await run("mount", ["--make-shared", hostPath]);
      const mounts = [
        { hostPath, containerPath: "/plain", readonly: true },
        { hostPath, containerPath: "/slave", propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER },
      ];
      const containerId = await create("mounts", forever, { mounts });
      try {
        await node.cri.runtime.startContainer({ containerId });
      } finally {
        await run("umount", ["-l", hostPath]);
      }
      const shown = (await statusOf(containerId)).mounts.map((mount) => [
        mount.containerPath,
        mount.hostPath,
        mount.readonly,
        mount.propagation,
      ]);
      assert.deepEqual(shown.sort(), [
        ["/plain", hostPath, true, MountPropagation.PROPAGATION_PRIVATE],
        ["/slave", hostPath, false, MountPropagation.PROPAGATION_HOST_TO_CONTAINER],
      ]);
    });
  });
}

describe("image volumes on Docker 28", { timeout: 120_000 }, () => {
  it("have a sub-path that does not exist or leads out of the image refused at create", async () => {
    const dockerd = await lab.dockerd({ name: "volumes", engine: "28", iptables: false });
    await using node = await openNode(dockerd);
    const tree = `${dockerd.folder}/tree`;
    await mkdir(`${tree}/folder`, { recursive: true });
    await writeFile(`${tree}/folder/file`, "a file\n");
    const links = { link: "folder", away: "/etc", climbs: "../../../../../../../../etc", loop: "loop" };
    for (const [name, target] of Object.entries(links)) await symlink(target, `${tree}/${name}`);
    await run("tar", ["-C", tree, "-cf", `${tree}.tar`, "."]);
    await dockerd.docker(["import", `${tree}.tar`, "tree:1"]);
    const podSandboxId = await runPod(node, "volumes");
    const create = async (imageSubPath: string) => {
      const mounts = [{ containerPath: "/tree", readonly: true, image: { image: "tree:1" }, imageSubPath }];
      const config = {
        metadata: { name: "one" },
        image: { image: "busybox:1.36" },
        command: forever,
        mounts,
      };
      const request = { podSandboxId, sandboxConfig: podConfig("volumes"), config };
      return (await node.cri.runtime.createContainer(request)).containerId;
    };
    for (const bad of ["none", "folder/file/none", "away", "climbs", "loop"])
      await assert.rejects(create(bad), new RegExp(`not_found.*has no sub-path "${bad}"`, "s"), bad);
    for (const bad of ["/folder", "folder/../../etc"])
      await assert.rejects(create(bad), { code: Code.InvalidArgument }, bad);
    assert.deepEqual((await node.cri.runtime.listContainers({})).containers, []);
    const containerId = await create("link/file");
    await node.cri.runtime.startContainer({ containerId });
    const { stdout } = await node.cri.runtime.execSync({ containerId, cmd: ["cat", "/tree"] });
    assert.equal(Buffer.from(stdout).toString(), "a file\n");
    await node.cri.runtime.removePodSandbox({ podSandboxId });
  });
});
