import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createClients } from "../../src/client/index.js";
import { cgroupFolders } from "./cgroup-folders.js";
import { openLab, type Dockerd } from "./lab/index.js";
import { openPodNode, podConfig, serveShim, untilReady, type ServedShim } from "./pods-node.js";
import { until } from "./streams.js";

const lab = openLab();
after(async () => {
  await lab.close();
});

/** Of a core. */
const quota = 0.2;
/** Rates are over the shim's last samples, or its first second. */
const windowsMs = { least: 900, most: 20_000 };

/** A value of the kernel's counter. */
interface Sample {
  readonly atMs: number;
  readonly nanos: number;
}

/** Whether the kernel's own counter had this rate, of a core, in some window that ended now. */
function assertTrue(rate: number | undefined, samples: readonly Sample[]): void {
  const now = samples.at(-1);
  assert.ok(now);
  const rates = samples
    .map(({ atMs, nanos }) => ({
      ms: now.atMs - atMs,
      rate: (now.nanos - nanos) / ((now.atMs - atMs) * 1e6),
    }))
    .filter(({ ms }) => ms > windowsMs.least && ms < windowsMs.most)
    .map((each) => each.rate);
  const [least, most] = [Math.min(...rates) * 0.9, Math.max(...rates) * 1.1];
  assert.ok(rate !== undefined && rate >= least && rate <= most, `${rate} is not from ${least} to ${most}`);
}

describe("stats of docker-cri as a process of its own", { timeout: 400_000 }, () => {
  let dockerd: Dockerd;
  let shim: ServedShim;
  let pod: string;
  let burning: string;
  let idle: string;
  /** Of the burning container, taken all the time. */
  const samples: Sample[] = [];
  let sampling: NodeJS.Timeout;

  before(async () => {
    dockerd = await lab.dockerd({ name: "stats-life", iptables: false });
    const node = await openPodNode(lab, dockerd, "statslife", 72);
    shim = await serveShim(lab, node, { extraArgs: ["--metrics-address=127.0.0.1:0"] });
    pod = (await shim.cri.runtime.runPodSandbox({ config: podConfig("stats") })).podSandboxId;
    burning = await start("burning", ["sh", "-c", "while :; do :; done"]);
    idle = await start("idle", ["sleep", "86400"]);
    const folders = await cgroupFolders(await pidOf(burning));
    sampling = setInterval(() => {
      const nanos = Number(readFileSync(`${folders.get("cpuacct")}/cpuacct.usage`, "utf8"));
      samples.push({ atMs: performance.now(), nanos });
    }, 50);
    // The rates of young containers are over their life.
    await delay(16_000);
  });
  after(() => {
    clearInterval(sampling);
  });

  async function start(name: string, command: string[]): Promise<string> {
    const resources = { cpuPeriod: 20_000n, cpuQuota: BigInt(20_000 * quota) };
    const { containerId } = await shim.cri.runtime.createContainer({
      podSandboxId: pod,
      sandboxConfig: podConfig("stats"),
      config: {
        metadata: { name },
        image: { image: "busybox:1.36" },
        command,
        linux: { resources },
      },
    });
    await shim.cri.runtime.startContainer({ containerId });
    return containerId;
  }

  const cpuOf = async (containerId: string) => {
    const { stats } = await shim.cri.runtime.containerStats({ containerId });
    assert.ok(stats?.cpu && Number(stats.memory?.workingSetBytes?.value) > 0);
    const { usageCoreNanoSeconds, usageNanoCores } = stats.cpu;
    return {
      nanos: Number(usageCoreNanoSeconds?.value),
      rate: usageNanoCores && Number(usageNanoCores.value) / 1e9,
    };
  };
  const pidOf = async (id: string) =>
    Number((await dockerd.docker(["inspect", "-f", "{{.State.Pid}}", id])).stdout.trim());

  it("show each of several callers the same true rate, whenever they call", async () => {
    const caller = async (everyMs: number) => {
      using clients = createClients({ endpoint: shim.endpoint });
      const end = Date.now() + 12_000;
      while (Date.now() < end) {
        await delay(everyMs);
        const { stats } = await clients.runtime.listContainerStats({ filter: { podSandboxId: pod } });
        const found = stats.find(({ attributes }) => attributes?.id === burning);
        assertTrue(Number(found?.cpu?.usageNanoCores?.value) / 1e9, samples);
      }
    };
    await Promise.all([caller(50), caller(330), caller(1_000), caller(2_000)]);
  });

  it("are not zero after docker-cri was killed and has started again, and their rates are true", async () => {
    const earlier = { burning: await cpuOf(burning), idle: await cpuOf(idle) };
    await shim.service.kill();
    await shim.service.start();
    await untilReady(shim.cri);
    // The first answer, and those until there are samples of the usual age.
    const end = Date.now() + 8_000;
    while (Date.now() < end) {
      const now = { burning: await cpuOf(burning), idle: await cpuOf(idle) };
      assert.ok(now.burning.nanos > earlier.burning.nanos && now.idle.nanos >= earlier.idle.nanos);
      assert.ok(now.idle.nanos > 0);
      assertTrue(now.burning.rate, samples);
      assert.ok(now.idle.rate !== undefined && now.idle.rate < quota / 10, `idle: ${now.idle.rate}`);
      const { stats } = await shim.cri.runtime.podSandboxStats({ podSandboxId: pod });
      assert.ok(Number(stats?.linux?.cpu?.usageCoreNanoSeconds?.value) > earlier.burning.nanos);
      await delay(500);
    }
  });

  it("leave out what belongs to another process that has the pid of a dead one, and none of the others", async () => {
    const { podSandboxId } = await shim.cri.runtime.runPodSandbox({ config: podConfig("reused") });
    const network = async () => {
      const { stats } = await shim.cri.runtime.podSandboxStats({ podSandboxId });
      return stats?.linux?.network;
    };
    assert.ok(await network());
    const pid = await pidOf(podSandboxId);
    // A Docker that stands still tells no one of the death.
    dockerd.pause();
    let other: ChildProcess | undefined;
    try {
      process.kill(pid, "SIGKILL");
      await until(() => cgroupOf(pid).then((text) => text === ""));
      other = await processWithPid(pid);
      assert.doesNotMatch(await cgroupOf(pid), new RegExp(podSandboxId));
      assert.equal(await network(), undefined);
      const { stats } = await shim.cri.runtime.listContainerStats({});
      assert.deepEqual(stats.map(({ attributes }) => attributes?.id).sort(), [burning, idle].sort());
      const pods = await shim.cri.runtime.listPodSandboxStats({});
      assert.ok(pods.stats.find(({ attributes }) => attributes?.id === pod)?.linux?.network);
    } finally {
      other?.kill("SIGKILL");
      dockerd.resume();
    }
  });

  it("come with the shim's own metrics, of its calls to Docker as well", async () => {
    const log = await readFile(shim.service.logPath, "utf8");
    const url = [...log.matchAll(/"metrics":"(http:[^"]+)"/g)].at(-1)?.[1] ?? "";
    const text = await (await fetch(url)).text();
    const count = (labels: RegExp) =>
      Number(new RegExp(`_count\\{${labels.source}\\} (\\d+)`).exec(text)?.[1]);
    assert.ok(count(/service="RuntimeService",method="ContainerStats",code="OK"/) > 10);
    assert.ok(count(/call="containers.inspect",result="ok"/) >= 3, text);
    assert.match(text, /^docker_cri_sandboxes \d+$/m);
    assert.match(text, /^nodejs_eventloop_lag_p99_seconds \d+\.\d+$/m);
  });
});

/** Empty for a process that is gone, and for one that nobody has waited for. */
async function cgroupOf(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
}

/** Starts processes until one has this pid. */
async function processWithPid(pid: number): Promise<ChildProcess> {
  for (let attempt = 0; attempt < 2_000; attempt++) {
    await writeFile("/proc/sys/kernel/ns_last_pid", String(pid - 1));
    const child = spawn("sleep", ["600"], { stdio: "ignore" });
    if (child.pid === pid) return child;
    child.kill("SIGKILL");
  }
  throw new Error(`no process got the pid ${pid}`);
}
