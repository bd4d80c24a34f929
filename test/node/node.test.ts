import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  ContainerState,
  PodSandboxState,
  SecurityProfile_ProfileType as ProfileType,
  type LinuxContainerConfigSchema,
} from "../../src/client/index.js";
import { openNode, untilOk, type TestNode } from "./node.js";

const forever = ["sh", "-c", "trap exit TERM; sleep 86400 & wait"];
const mib = 1024n * 1024n;

describe("a node with systemd, cgroup v2 and AppArmor", { timeout: 3_600_000 }, () => {
  let node: TestNode;
  let podSandboxId: string;
  let count = 0;
  const sandboxConfig = {
    metadata: { name: "web", namespace: "default", uid: "uid", attempt: 0 },
    logDirectory: "/var/log/pods/web",
    linux: { cgroupParent: "kubepods-podweb.slice", securityContext: { privileged: true } },
  };

  before(async () => {
    node = await openNode();
    ({ podSandboxId } = await node.cri.runtime.runPodSandbox({ config: sandboxConfig }));
  });
  // One that a test has left down is no fault of the next.
  beforeEach(async () => {
    await node.sh("systemctl start docker-cri.socket docker-cri.service");
  });
  after(async () => {
    await node[Symbol.asyncDispose]();
  });

  type Linux = Exclude<MessageInitShape<typeof LinuxContainerConfigSchema>, { $typeName: string }>;

  async function create(linux: Linux, command = forever) {
    const name = `c${count++}`;
    const config = {
      metadata: { name },
      image: { image: "busybox:1.36" },
      command,
      linux,
      logPath: `${name}.log`,
    };
    return (await node.cri.runtime.createContainer({ podSandboxId, sandboxConfig, config })).containerId;
  }

  async function start(linux: Linux, command = forever): Promise<string> {
    const containerId = await create(linux, command);
    await node.cri.runtime.startContainer({ containerId });
    return containerId;
  }

  async function inside(containerId: string, command: string): Promise<string> {
    const { stdout } = await node.cri.runtime.execSync({ containerId, cmd: ["sh", "-c", command] });
    return Buffer.from(stdout).toString().trim();
  }

  const cgroup = (id: string) => `/sys/fs/cgroup/kubepods.slice/kubepods-podweb.slice/docker-${id}.scope`;
  const files = async (id: string, ...names: string[]) =>
    (await node.sh(`cd ${cgroup(id)} && cat ${names.join(" ")}`)).split("\n");

  /** Microseconds of CPU, and bytes. */
  async function kernel(folder: string) {
    const text = await node.sh(
      `cd ${folder} && cat cpu.stat memory.stat && echo current $(cat memory.current)`,
    );
    const of = (key: string) => Number(new RegExp(`^${key} (\\d+)$`, "m").exec(text)?.[1]);
    const memory = of("current");
    return { cpu: of("usage_usec"), memory, workingSet: memory - of("inactive_file") };
  }

  const near = (found: number, expected: number) => Math.abs(found - expected) <= expected * 0.05;

  async function statsOf(id: string) {
    const { stats } = await node.cri.runtime.listContainerStats({ filter: { id } });
    assert.equal(stats.length, 1);
    return stats[0] as (typeof stats)[number];
  }

  it("has each unified limit in the container's cgroup when StartContainer answers", async () => {
    const unified = {
      "memory.oom.group": "1",
      "memory.high": "50331648",
      "memory.min": "1048576",
      "cpu.weight": "77",
    };
    const id = await start({ resources: { unified, memoryLimitInBytes: 64n * mib } });
    assert.deepEqual(await files(id, ...Object.keys(unified), "memory.swap.max"), [
      ...Object.values(unified),
      "0",
    ]);
    await node.cri.runtime.updateContainerResources({
      containerId: id,
      linux: { cpuShares: 512n, unified: { "memory.high": "41943040" } },
    });
    assert.deepEqual(await files(id, "memory.oom.group", "memory.high", "memory.min", "memory.swap.max"), [
      "1",
      "41943040",
      "1048576",
      "0",
    ]);
  });

  it("has them again after a daemon-reload and the start of another container", async () => {
    const unified = { "memory.oom.group": "1", "memory.high": "50331648" };
    const id = await start({ resources: { unified, memoryLimitInBytes: 64n * mib } });
    await node.sh("systemctl daemon-reload");
    await start({});
    await untilOk(async () => {
      const found = await files(id, "memory.oom.group", "memory.high", "memory.swap.max");
      return found.join() === "1,50331648,0";
    }, 5_000);
  });

  it("ends the whole container when one process is out of memory", async () => {
    const resources = { unified: { "memory.oom.group": "1" }, memoryLimitInBytes: 16n * mib };
    const containerId = await start({ resources }, ["sh", "-c", "tail /dev/zero & sleep 86400"]);
    await untilOk(async () => {
      const { status } = await node.cri.runtime.containerStatus({ containerId });
      return status?.state === ContainerState.CONTAINER_EXITED && status.reason === "OOMKilled";
    }, 60_000);
  });

  it("measures containers in their own cgroups, and the pod in its slice, as the kernel does", async () => {
    const touchAndBurn = "dd if=/dev/zero of=/dev/shm/touched bs=1M count=24; while :; do :; done";
    const resources = { cpuQuota: 20_000n, cpuPeriod: 100_000n, memoryLimitInBytes: 64n * mib };
    const id = await start({ resources }, ["sh", "-c", touchAndBurn]);
    // A process of the slice in none of its containers: the sum of these is not the pod's figure.
    const extra = "(head -c 33554432 /dev/zero; sleep 86400) | tail";
    await node.sh(`systemd-run -q --unit=beside --slice=kubepods-podweb.slice sh -c '${extra}'`);
    const slice = cgroup(id).replace(/\/[^/]*$/, "");
    await untilOk(async () => (await kernel(`${slice}/beside.service`)).memory > 32 * 1024 * 1024, 60_000);
    await untilOk(async () => near(Number((await statsOf(id)).cpu?.usageNanoCores?.value), 0.2e9), 120_000);

    for (const [folder, read] of [
      [cgroup(id), () => statsOf(id)],
      [slice, async () => (await node.cri.runtime.podSandboxStats({ podSandboxId })).stats?.linux],
    ] as const) {
      const before = await kernel(folder);
      const stats = await read();
      const after = await kernel(folder);
      const cpu = Number(stats?.cpu?.usageCoreNanoSeconds?.value) / 1_000;
      const about = (found: number, of: "cpu" | "memory" | "workingSet") => {
        const [low, high] = [before[of], after[of]].sort((a, b) => a - b) as [number, number];
        assert.ok(
          found >= low * 0.95 && found <= high * 1.05,
          `${folder} ${of}: ${found}, ${low} to ${high}`,
        );
      };
      about(cpu, "cpu");
      about(Number(stats?.memory?.usageBytes?.value), "memory");
      about(Number(stats?.memory?.workingSetBytes?.value), "workingSet");
    }
    const [shown = "", unit] = (
      await node.sh(`docker stats --no-stream --format '{{.MemUsage}}' ${id}`)
    ).split(/(?=MiB)|\s/);
    assert.equal(unit, "MiB");
    const { memory } = await statsOf(id);
    assert.ok(near(Number(memory?.workingSetBytes?.value), Number(shown) * 1024 * 1024), shown);
    await node.sh("systemctl stop beside.service");
    await node.cri.runtime.stopContainer({ containerId: id });
  });

  it("gives privileged containers the node's cgroups, and others their own", async () => {
    const look = "readlink /proc/self/ns/cgroup; ls /sys/fs/cgroup";
    const own = await node.sh("readlink /proc/self/ns/cgroup");
    const privileged = await inside(await start({ securityContext: { privileged: true } }), look);
    assert.ok(privileged.startsWith(own) && privileged.includes("system.slice"), privileged);
    assert.ok(!(await inside(await start({ securityContext: {} }), look)).includes(own));
  });

  it("confines by AppArmor as asked, and refuses a profile that is not loaded by its name", async () => {
    const profile = (profileType: ProfileType, localhostRef = "") => ({
      securityContext: { apparmor: { profileType, localhostRef } },
    });
    for (const [asked, expected] of [
      [profile(ProfileType.RuntimeDefault), "docker-default (enforce)"],
      [profile(ProfileType.Unconfined), "unconfined"],
      [profile(ProfileType.Localhost, "docker-cri-test"), "docker-cri-test (enforce)"],
    ] as const) {
      assert.equal(await inside(await start(asked), "cat /proc/self/attr/current"), expected);
    }
    await assert.rejects(create(profile(ProfileType.Localhost, "gone")), /"gone" is not loaded/);
    assert.match(await node.sh("docker-cri doctor"), /ok\s+AppArmor/);
  });

  it("leaves nothing of a command whose time is up", async () => {
    const containerId = await start({});
    const cmd = ["sh", "-c", "(sleep 76543 &); (setsid sleep 76543 &); sleep 76543"];
    await assert.rejects(node.cri.runtime.execSync({ containerId, cmd, timeout: 3n }), /timed out after 3 s/);
    // Where Docker itself was too slow to tell of it, the kill is tried again.
    await untilOk(async () => (await node.sh("pgrep -f '^sleep 76543' || true")) === "", 60_000);
  });

  it("keeps the socket when the service stops, and refuses no connection during a restart", async () => {
    await node.sh("systemctl stop docker-cri.service");
    assert.equal(await node.sh("systemctl is-active docker-cri.socket"), "active");
    await node.sh("systemctl start docker-cri.service");
    const connects = `const net = require("node:net"); let refused = 0, made = 0; const timer = setInterval(() => {
      net.connect("/run/docker-cri.sock").on("connect", function () { made++; this.destroy(); }).on("error", () => refused++); }, 500);
      require("node:child_process").exec("systemctl restart docker-cri.service", () => { clearInterval(timer);
      setTimeout(() => console.log(made > 0, refused), 500); });`;
    assert.equal(await node.sh(`node -e '${connects}'`), "true 0");
  });

  /** @returns What reads the log since. */
  const restart = async () => {
    const since = await node.sh("date +%s");
    await node.sh("systemctl restart docker-cri.service");
    await untilOk(async () => {
      const { status } = await node.cri.runtime.podSandboxStatus({ podSandboxId });
      return status?.state === PodSandboxState.SANDBOX_READY && status.network?.ip !== "";
    }, 60_000);
    return () => node.sh(`journalctl -u docker-cri.service --since @${since} -o cat`);
  };

  it("keeps pods through a restart, without a false alarm about their network", async () => {
    const containerId = await start({});
    const log = await restart();
    // The CHECK of every pod comes soon after the start.
    await node.sh("sleep 20");
    assert.doesNotMatch(await log(), /CHECK|recreate/);
    const { status } = await node.cri.runtime.containerStatus({ containerId });
    assert.equal(status?.state, ContainerState.CONTAINER_RUNNING);
    const { status: pod } = await node.cri.runtime.podSandboxStatus({ podSandboxId });
    await node.sh(`busybox ping -c 1 -W 10 ${pod?.network?.ip}`);
  });

  it("warns after a restart of a pod whose interface was taken out of its bridge", async () => {
    const veth = await node.sh("ls /sys/class/net/cni0/brif");
    await node.sh(`ip link set ${veth} nomaster`);
    const log = await restart();
    await untilOk(async () => {
      const warned = (await log()).split("\n").find((line) => line.includes("CHECK failed"));
      return (
        warned?.includes(podSandboxId) === true &&
        warned.includes("veth created for bridge cni0 was not found")
      );
    }, 60_000);
    await node.sh(`ip link set ${veth} master cni0`);
  });

  it("logs to the journal under its name and with priorities", async () => {
    const mounts = [{ hostPath: `/tmp/missing-${Date.now()}`, containerPath: "/x" }];
    const config = {
      metadata: { name: "mounts" },
      image: { image: "busybox:1.36" },
      command: forever,
      mounts,
      linux: {},
    };
    await node.cri.runtime.createContainer({ podSandboxId, sandboxConfig, config });
    const warnings = await node.sh("journalctl -t docker-cri -u docker-cri.service -p warning -o cat");
    assert.match(warnings, /host path/);
    assert.doesNotMatch(warnings, /"level":30/);
  });

  it("serves again after the machine's restart, and recreates the pod", async () => {
    await node.reboot();
    const { items } = await node.cri.runtime.listPodSandbox({ filter: { id: podSandboxId } });
    assert.equal(items[0]?.state, PodSandboxState.SANDBOX_NOTREADY);
    const metadata = { ...sandboxConfig.metadata, attempt: 1 };
    const again = await node.cri.runtime.runPodSandbox({ config: { ...sandboxConfig, metadata } });
    await node.cri.runtime.removePodSandbox({ podSandboxId });
    const { status } = await node.cri.runtime.podSandboxStatus({ podSandboxId: again.podSandboxId });
    assert.equal(status?.state, PodSandboxState.SANDBOX_READY);
  });
});
