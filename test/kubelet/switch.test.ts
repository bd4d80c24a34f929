import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { after, before, describe } from "node:test";
import { openLab, releaseVersion, waitUntil, type CriDockerd } from "../docker/lab/index.js";
import { servePeer, serveShim, type ServedShim } from "../docker/pods-node.js";
import type { Kubelet } from "./kubelet.js";
import { endPods, openParts, startNodeKubelet, untilPod, type NodeParts } from "./node.js";
import { container, forever, isReady, manifest, pods, statusOf, type Manifest } from "./pods.js";
import { Results } from "../support/results.js";

const lab = openLab();
after(async () => {
  await lab.close();
});

/** Pods that go on from the first runtime to the last. */
const lasting = ["order", "net", "hostnet", "talks"];

/** How many more pods go on, each with a log and a container that has been restarted once. */
const crowdSize = Number(process.env["DOCKER_CRI_SWITCH_PODS"] ?? 3);
const crowd = Array.from({ length: crowdSize }, (_, index) => `crowd${index}`);

function crowdPod(name: string): Manifest {
  const once = "[ -e /shared/tried ] || { touch /shared/tried; exit 1; }";
  const script = `${once}; trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo "line $i"; sleep 1; done`;
  return manifest(name, {
    volumes: [{ name: "shared", emptyDir: {} }],
    containers: [container("main", script, { volumeMounts: [{ name: "shared", mountPath: "/shared" }] })],
  });
}

const it = new Results("switch").column(`kubelet ${releaseVersion("1.36")}`);

describe(
  "a kubelet whose runtime changes from cri-dockerd to docker-cri and back",
  { timeout: 600_000 + crowdSize * 10_000 },
  () => {
    let node: NodeParts;
    let peer: CriDockerd;
    let ours: ServedShim | undefined;
    let kubelet: Kubelet;
    let ids: Map<string, string | undefined>;
    let line = 0;

    before(async () => {
      node = await openParts(lab, "26.1", 79);
      await node.network.configure({ ipMasq: false });
      peer = await servePeer(lab, node.network, node.socketPath);
      // cri-dockerd cannot have its logs rotated.
      kubelet = await startNodeKubelet(lab, node, "1.36", { containerLogMaxSize: "100Mi" });
      const shared = `${node.folder}/shared`;
      await mkdir(shared, { recursive: true });
      for (const pod of pods(shared)) if (lasting.includes(pod.metadata.name)) await kubelet.add(pod);
      for (const name of crowd) await kubelet.add(crowdPod(name));
      for (const name of lasting) await untilPod(kubelet, name, isReady);
      for (const name of crowd)
        await untilPod(kubelet, name, (pod) => isReady(pod) && statusOf(pod)?.restartCount === 1, 240_000);
      ids = new Map([...(await kubelet.api.pods())].map(([name, pod]) => [name, statusOf(pod)?.containerID]));
    });

    /** The pods are the same containers as ever, their logs go on, and a new pod can be run. */
    async function assertGoesOn(fresh: string): Promise<void> {
      await kubelet.add(manifest(fresh, { containers: [container("main", `echo ${fresh}; ${forever}`)] }));
      await untilPod(kubelet, fresh, isReady);
      for (const name of [...lasting, ...crowd]) {
        const pod = await untilPod(kubelet, name, isReady);
        assert.equal(statusOf(pod)?.containerID, ids.get(name), name);
        const restarts = crowd.includes(name) ? 1 : 0;
        for (const each of pod.status.containerStatuses ?? [])
          assert.equal(each.restartCount, restarts, name);
      }
      const logged = async () =>
        Number((await kubelet.api.logs("talks", "main", "tailLines=1")).split(" ")[1]);
      const before = line;
      assert.ok(
        await waitUntil(async () => (line = await logged()) > before + 10, 20_000, 200),
        "the log stands",
      );
      for (const name of crowd) await assertLogGrows(name);
      let said = "";
      await waitUntil(async () => (said = await kubelet.api.logs(fresh, "main")) !== "", 10_000, 200);
      assert.equal(said, `${fresh}\n`);
    }

    /** The pod's log has each line since the container's start, and one that is new. */
    async function assertLogGrows(name: string): Promise<void> {
      const read = async () => (await kubelet.api.logs(name, "main")).trimEnd().split("\n");
      const before = await read();
      let lines = before;
      await waitUntil(async () => (lines = await read()).length > before.length, 30_000, 200);
      assert.ok(lines.length > before.length, `${name}: the log stands`);
      assert.deepEqual(
        lines,
        lines.map((_, index) => `line ${index + 1}`),
        name,
      );
    }

    async function assertStreams(): Promise<void> {
      for (const name of [...lasting, ...crowd])
        assert.equal(await kubelet.api.output(name, "main", "echo", name), `${name}\n`);
      using ports = await kubelet.api.portForward("net", "spdy");
      const connection = ports.connect(8080);
      connection.write("GET /page HTTP/1.0\r\n\r\n");
      assert.match(await text(connection), /port\n$/);
    }

    for (const mode of ["cri", "docker-json"]) {
      it(`switches to docker-cri with --log-mode ${mode}`, async () => {
        await peer.service.shutDown();
        ours = await serveShim(lab, node.network, {
          socketPath: node.socketPath,
          extraArgs: [`--log-mode=${mode}`],
        });
        await assertGoesOn(`ours-${mode}`);
        await assertStreams();
      });

      it(`switches to cri-dockerd after --log-mode ${mode}`, async () => {
        await ours?.service.shutDown();
        await peer.service.start();
        await assertGoesOn(`theirs-after-${mode}`);
      });
    }

    it("removes all pods with docker-cri, and leaves nothing", async () => {
      await peer.service.shutDown();
      ours = await serveShim(lab, node.network, { socketPath: node.socketPath });
      await assertGoesOn("ours-last");
      await assertStreams();
      await endPods(node, kubelet);
    });
  },
);
