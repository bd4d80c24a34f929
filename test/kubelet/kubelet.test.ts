import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe } from "node:test";
import { isDeepStrictEqual } from "node:util";
import {
  kubeletVersions,
  openLab,
  releaseVersion,
  waitUntil,
  type KubeletVersion,
} from "../docker/lab/index.js";
import { untilSize } from "../docker/terminal.js";
import { logPath, portForwardPath, processPath } from "./api.js";
import { assertExplained } from "./complaints.js";
import { assertHugePages, hugePod, reserveHugePages } from "./hugepages.js";
import { assertCollectsImages, fullDisk, lowThresholds } from "./image-collection.js";
import { logFiles, readLines } from "./logs.js";
import { endPods, nodeAddress, openKubeletNode, untilPod, type KubeletNode } from "./node.js";
import { container, forever, isReady, manifest, pods, statusOf } from "./pods.js";
import { Results } from "../support/results.js";
import { assertShutsDown, startSystemBus, type SystemBus } from "./shutdown.js";
import { agree, agreeOnMetrics, cadvisorMetrics, summary } from "./stats.js";

/** The kubelets to test: 1.36, or those that DOCKER_CRI_KUBELETS names, such as `1.34,1.37`. */
const versions = (process.env["DOCKER_CRI_KUBELETS"] ?? "1.36").split(",").map((name): KubeletVersion => {
  const version = kubeletVersions.find((each) => each === name.trim());
  assert.ok(version, `DOCKER_CRI_KUBELETS: there is no kubelet ${name}, only ${kubeletVersions.join(", ")}`);
  return version;
});

const results = new Results("kubelets");

for (const [index, version] of versions.entries()) {
  describe(`kubelet ${version}`, { timeout: 1_200_000 }, () => {
    const lab = openLab();
    let node: KubeletNode;
    let bus: SystemBus;
    let shared: string;
    let noHugePages: string | undefined;
    const it = results.column(`kubelet ${releaseVersion(version)}`);

    before(async () => {
      bus = await startSystemBus(lab);
      noHugePages = await reserveHugePages(lab);
      const env = { DBUS_SYSTEM_BUS_ADDRESS: bus.address };
      node = await openKubeletNode(lab, version, 75 + index, { env });
      shared = join(node.folder, "shared");
      await mkdir(join(shared, "sub", "folder"), { recursive: true });
      await writeFile(join(shared, "sub", "file"), "a file\n");
      for (const pod of pods(shared)) await node.kubelet.add(pod);
      if (noHugePages === undefined) await node.kubelet.add(hugePod);
    });

    after(async () => {
      await lab.close();
    });

    const exec = async (pod: string, ...command: string[]) =>
      await node.kubelet.api.output(pod, "main", ...command);

    it("runs init containers and a sidecar in order", async () => {
      const pod = await untilPod(node.kubelet, "order", isReady);
      for (const name of ["first", "second"])
        assert.equal(statusOf(pod, name)?.state.terminated?.reason, "Completed", name);
      assert.ok(statusOf(pod, "sidecar")?.state.running, "the sidecar runs beside the pod's containers");
      assert.deepEqual((await exec("order", "cat", "/shared/order")).trim().split("\n"), [
        "first",
        "sidecar",
        "second",
        "main",
      ]);
    });

    it("probes by exec, HTTP and TCP", async () => {
      const { status } = await untilPod(node.kubelet, "probes", isReady);
      assert.match(status.podIP ?? "", /^10\.219\./);
      await exec("probes", "rm", "/tmp/ready");
      await untilPod(node.kubelet, "probes", (pod) => !isReady(pod));
      await exec("probes", "rm", "/www/health");
      await untilPod(node.kubelet, "probes", (pod) => statusOf(pod)?.restartCount === 1 && isReady(pod));
    });

    it("follows restart policies", async () => {
      const never = await untilPod(node.kubelet, "never", ({ status }) => status.phase === "Failed");
      assert.equal(statusOf(never)?.state.terminated?.exitCode, 3);
      assert.equal(statusOf(never)?.restartCount, 0);
      const tried = await untilPod(node.kubelet, "onfailure", ({ status }) => status.phase === "Succeeded");
      assert.equal(statusOf(tried)?.restartCount, 1);
      const always = await untilPod(node.kubelet, "always", (pod) => (statusOf(pod)?.restartCount ?? 0) > 0);
      assert.equal(statusOf(always)?.lastState?.terminated?.reason, "Completed");
    });

    it("reads termination messages, and reports OOMKilled", async () => {
      const pod = await untilPod(node.kubelet, "messages", ({ status }) => status.phase === "Failed");
      assert.equal(statusOf(pod, "file")?.state.terminated?.message, "by file");
      assert.equal(statusOf(pod, "log")?.state.terminated?.message, "by log\n");
      const oom = await untilPod(node.kubelet, "oom", ({ status }) => status.phase === "Failed");
      assert.equal(statusOf(oom)?.state.terminated?.reason, "OOMKilled");
      assert.equal(statusOf(oom)?.state.terminated?.exitCode, 137);
    });

    it("mounts volumes and sub-paths, and sets limits", async () => {
      const pod = await untilPod(node.kubelet, "volumes", isReady);
      const mounts = await exec("volumes", "cat", "/proc/mounts");
      assert.match(mounts, /^tmpfs \/memory tmpfs [^\n]*size=8192k/m);
      await exec("volumes", "sh", "-c", "echo here > /disk/a; echo here > /folder/written");
      assert.equal(await readFile(join(shared, "sub/folder/written"), "utf8"), "here\n");
      const disk = `root/pods/${pod.metadata.uid}/volumes/kubernetes.io~empty-dir/disk/a`;
      assert.equal(await readFile(join(node.folder, disk), "utf8"), "here\n");
      assert.equal(await exec("volumes", "cat", "/host/sub/file", "/etc/file"), "a file\na file\n");
      await assert.rejects(exec("volumes", "touch", "/host/no"), /Read-only file system/);
      const id = idOf(statusOf(pod)?.containerID);
      const { stdout } = await node.dockerd.docker(["inspect", "-f", "{{json .HostConfig}}", id]);
      const { Memory, CpuQuota, CpuPeriod, CpuShares } = JSON.parse(stdout) as Record<string, number>;
      assert.deepEqual(
        { Memory, CpuQuota, CpuPeriod, CpuShares },
        { Memory: 64 << 20, CpuQuota: 25_000, CpuPeriod: 100_000, CpuShares: 256 },
      );
    });

    it("gives a pod huge pages", async () => {
      if (noHugePages !== undefined) return noHugePages;
      await assertHugePages(node);
      return undefined;
    });

    it("runs pods on the host network, and pods with host ports", async () => {
      await untilPod(node.kubelet, "hostnet", isReady);
      assert.equal(
        (await exec("hostnet", "readlink", "/proc/self/ns/net")).trim(),
        readlinkSync("/proc/self/ns/net"),
      );
      const { status } = await untilPod(node.kubelet, "net", isReady);
      assert.equal(status.podIPs?.length, 2, "one address of each family");
      let answer = "";
      await waitUntil(
        async () => (answer = await page(nodeAddress(node), 28_090)).endsWith("port\n"),
        20_000,
        200,
      );
      assert.match(answer, /port\n$/, "the node's port 28090 does not lead to the pod");
    });

    it("names an image that cannot be pulled", async () => {
      const waiting = ({ waiting }: { waiting?: { reason?: string } }) =>
        waiting?.reason === "ImagePullBackOff";
      const pod = await untilPod(node.kubelet, "nopull", (each) => waiting(statusOf(each)?.state ?? {}));
      assert.match(statusOf(pod)?.state.waiting?.message ?? "", /127\.0\.0\.1:1\/none:1/);
    });

    it("runs lifecycle hooks, and lets a container end within its grace period", async () => {
      const pod = await untilPod(node.kubelet, "hooks", isReady);
      const id = idOf(statusOf(pod)?.containerID);
      await node.kubelet.remove("hooks");
      const running = async () => (await node.dockerd.docker(["ps", "-q", "--no-trunc"])).stdout.includes(id);
      assert.ok(await waitUntil(async () => !(await running()), 40_000, 200), "the container still runs");
      assert.equal(await readFile(join(shared, "hooks"), "utf8"), "started\nstopping\nended\n");
    });

    for (const transport of ["spdy", "websocket"] as const) {
      it(`execs, attaches and forwards ports through its API over ${transport}`, async () => {
        const { api } = node.kubelet;
        await untilPod(node.kubelet, "net", isReady);
        const script = "cat; echo err >&2; exit 7";
        const command = await api.exec("net", "main", ["sh", "-c", script], { transport, stdin: true });
        command.stdin.end("in\n");
        const outputs = await Promise.all([text(command.stdout), text(command.stderr)]);
        assert.deepEqual([...outputs, await command.exitCode], ["in\n", "err\n", 7]);
        const path = processPath("exec", "net", "main", { stdin: true }, ["sh", "-c", script]);
        const kubectl = ["-transport", transport, "-stdin"];
        assert.deepEqual(await api.kubestream("process", path, kubectl, { input: "in\n" }), {
          stdout: "in\n",
          stderr: "err\n",
          exitCode: 7,
        });

        const sized = `${untilSize(90, 30)}; stty size`;
        const terminal = await api.exec("net", "main", ["sh", "-c", sized], { transport, tty: true });
        terminal.resize({ width: 90, height: 30 });
        assert.equal(await text(terminal.stdout), "30 90\r\n");

        const attached = await api.attach("net", "cat", { transport, stdin: true });
        attached.stdin.write(`by ${transport}\n`);
        attached.stderr.resume();
        for await (const chunk of attached.stdout as AsyncIterable<Buffer>) {
          assert.equal(String(chunk), `by ${transport}\n`);
          break;
        }
        await attached.close();

        if (transport === "websocket" && version === "1.34") {
          // Only the API server tunnels port-forward before kubelet 1.36; a kubelet by itself wants the old channels.
          await assert.rejects(api.portForward("net", transport), /query parameter "port" is required/);
          return;
        }
        using ports = await api.portForward("net", transport);
        const connection = ports.connect(8080);
        connection.write("GET /page HTTP/1.0\r\n\r\n");
        assert.match(await text(connection), /port\n$/);
        await assert.rejects(text(ports.connect(8081)), /ECONNREFUSED/);
        const forward = ["-transport", transport, "8080:3", "8081"];
        const { stdout } = await api.kubestream("connect", portForwardPath("net"), forward);
        const answers = stdout.trim().split("\n");
        assert.equal(answers.length, 4, stdout);
        for (const answer of answers.slice(0, 3)) assert.match(answer, /400 Bad Request/);
        assert.match(answers[3] ?? "", /ECONNREFUSED/);
      });
    }

    it("serves logs, and rotates them without losing a line", async () => {
      const { api, podLogs } = node.kubelet;
      let said = "";
      const both = async () => (said = await api.logs("net", "cat")).includes("by spdy\nby websocket\n");
      assert.ok(await waitUntil(both, 10_000), said);
      const pod = await untilPod(node.kubelet, "talks", isReady);
      const rotated = async () => (await logFiles(podLogs, pod, "main")).length >= 3;
      assert.ok(await waitUntil(rotated, 60_000, 500), "the log was not rotated twice");
      // A rotation while they are read looks like a loss. They are read again before the next one, in 3 s.
      let lines: string[] = [];
      const numbered = () => lines.map((_, at) => `line ${Number(lines[0]?.split(" ")[1]) + at} of many`);
      await waitUntil(async () => {
        lines = (await readLines(await logFiles(podLogs, pod, "main"))) ?? [];
        return lines.length > 0 && isDeepStrictEqual(lines, numbered());
      }, 2_000);
      assert.ok(lines.length > 100);
      assert.deepEqual(lines, numbered());
      // A kubelet looks no further back than the last rotation, which may just have been.
      let last = "";
      const tail = async () => (last = await api.logs("talks", "main", "tailLines=2"));
      assert.ok(await waitUntil(async () => /^(line \d+ of many\n){2}$/.test(await tail()), 10_000), last);
    });

    it("follows a log with client-go across rotations", async () => {
      const rotations = async () =>
        (await logFiles(node.kubelet.podLogs, await untilPod(node.kubelet, "talks", isReady), "main")).join();
      const before = await rotations();
      const path = logPath("talks", "main", "follow=true&tailLines=1");
      const { stdout, stderr } = await node.kubelet.api.kubestream("logs", path, ["-lines", "2000"], {
        timeoutMs: 180_000,
      });
      assert.equal(stderr, "");
      assert.notEqual(await rotations(), before, "the log was not rotated meanwhile");
      const lines = stdout.trim().split("\n");
      const first = Number(lines[0]?.split(" ")[1]);
      assert.deepEqual(
        lines,
        Array.from({ length: 2_000 }, (_, at) => `line ${first + at} of many`),
      );
    });

    it("keeps containers running while docker-cri and Docker restart", async () => {
      const before = await containerIds(node);
      await node.shim.service.kill();
      await node.shim.service.start();
      await node.dockerd.restart({ keepContainers: true });
      await node.kubelet.add(manifest("later", { containers: [container("main", forever)] }));
      await untilPod(node.kubelet, "later", isReady);
      for (const name of ["order", "volumes", "hostnet", "net", "talks"]) {
        const pod = await untilPod(node.kubelet, name, isReady);
        assert.equal(statusOf(pod)?.containerID, before.get(name), name);
        assert.equal(statusOf(pod)?.restartCount, 0, name);
      }
      assert.equal(await exec("net", "cat", "/www/page"), "port\n");
    });

    it("serves the same stats from cgroups and from CRI, and follows events", async () => {
      const { api } = node.kubelet;
      const before = await containerIds(node);
      const id = idOf(before.get("volumes"));
      const read = async () => {
        const filled = async () =>
          (await summary(api).catch(() => undefined))?.get("volumes")?.cpu?.usageNanoCores;
        assert.ok(
          await waitUntil(async () => (await filled()) !== undefined, 60_000, 500),
          "no stats of a pod",
        );
        return { pods: await summary(api), metrics: await cadvisorMetrics(api, id) };
      };
      const own = await read();
      await node.kubelet.restart({
        featureGates: { EventedPLEG: true, PodAndContainerStatsFromCRI: true },
      });
      await node.kubelet.add(
        manifest("quick", { restartPolicy: "Never", containers: [container("main", "exit 0")] }),
      );
      await untilPod(node.kubelet, "quick", ({ status }) => status.phase === "Succeeded");
      const cri = await read();
      const metrics = await api.get("/metrics");
      for (const used of [
        "kubelet_evented_pleg_connection_success_count",
        'kubelet_runtime_operations_total{operation_type="list_podsandbox_metrics"}',
      ])
        assert.ok(Number(metrics.split(`\n${used} `)[1]?.split("\n")[0]) > 0, used);
      for (const name of ["order", "volumes", "hostnet", "net"]) {
        assert.equal(
          statusOf(await untilPod(node.kubelet, name, isReady))?.containerID,
          before.get(name),
          name,
        );
        agree(name, own.pods.get(name), cri.pods.get(name));
      }
      agreeOnMetrics(own.metrics, cri.metrics);
    });

    it("removes unused images when their disk is full", async () => {
      await assertCollectsImages(node, fullDisk, 120_000);
    });

    it("removes unused images in its periodic collection, by thresholds", async () => {
      if (!process.env["DOCKER_CRI_KUBELET_IMAGE_ROUNDS"])
        return "rounds are five minutes apart: set DOCKER_CRI_KUBELET_IMAGE_ROUNDS";
      await assertCollectsImages(node, lowThresholds, 400_000);
      return undefined;
    });

    it("removes all pods, and leaves nothing of their network", async () => {
      await endPods(node, node.kubelet);
    });

    it("ends pods in order of priority when the node shuts down", async () => {
      await assertShutsDown(node, bus, shared);
      await endPods(node, node.kubelet);
    });

    it("logs no error about the runtime", async () => {
      assertExplained(await node.kubelet.complaints());
    });
  });
}

/** The ids of the running pods' first containers. */
async function containerIds({ kubelet }: KubeletNode): Promise<Map<string, string | undefined>> {
  return new Map([...(await kubelet.api.pods())].map(([name, pod]) => [name, statusOf(pod)?.containerID]));
}

function idOf(containerID = ""): string {
  return containerID.replace(/^docker:\/\//, "");
}

/** What a server answers to one request. */
async function page(host: string, port: number): Promise<string> {
  const socket = connect({ host, port });
  socket.setTimeout(2_000, () => socket.destroy(new Error("no answer")));
  socket.write("GET /page HTTP/1.0\r\n\r\n");
  return await text(socket).catch(String);
}
