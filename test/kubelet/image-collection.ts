import assert from "node:assert/strict";
import { waitUntil } from "../docker/lab/index.js";
import type { KubeletConfig } from "./kubelet.js";
import { untilPod, type KubeletNode } from "./node.js";
import { container, forever, image, isReady, manifest, statusOf } from "./pods.js";

const unused = "unused:1";

/** A kubelet that finds the disk of the images full, and so wants to be rid of those that nothing uses. */
export const fullDisk: KubeletConfig = {
  evictionHard: { "imagefs.available": "99.9%", "memory.available": "1Mi" },
  imageMinimumGCAge: "1s",
};

/** A kubelet that collects images whatever the disk holds, in a round each five minutes. */
export const lowThresholds: KubeletConfig = {
  imageGCHighThresholdPercent: 1,
  imageGCLowThresholdPercent: 0,
  imageMinimumGCAge: "1s",
};

/** The kubelet removes the image that nothing uses, and neither one in use nor the pause image. */
export async function assertCollectsImages(
  { dockerd, kubelet }: KubeletNode,
  config: KubeletConfig,
  withinMs: number,
): Promise<void> {
  const { stdout } = await dockerd.docker(["create", image, "true"]);
  await dockerd.docker(["commit", "--message", "of no use", stdout.trim(), unused]);
  await dockerd.docker(["rm", stdout.trim()]);
  await kubelet.add(manifest("uses", { containers: [container("main", forever)] }));
  const before = await untilPod(kubelet, "uses", isReady);
  await kubelet.restart(config);
  const images = async () =>
    (await dockerd.docker(["images", "--format", "{{.Repository}}:{{.Tag}}"])).stdout.split("\n");
  const collected = async () => !(await images()).includes(unused);
  assert.ok(await waitUntil(collected, withinMs, 500), `the kubelet left ${unused}`);
  const kept = await images();
  assert.ok(kept.includes(image) && kept.includes("registry.k8s.io/pause:3.10"), kept.join(" "));
  const after = await untilPod(kubelet, "uses", isReady);
  assert.equal(statusOf(after)?.containerID, statusOf(before)?.containerID);
}
