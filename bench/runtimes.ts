import { createClients } from "../src/client/index.js";
import { basicImageNames, imageSet, type Dockerd, type Lab } from "../test/docker/lab/index.js";
import { startOurs, startPeer, type MeasuredShim } from "./shims.js";

/** The runtimes, in the order of the tables. */
export const runtimeNames = ["docker-cri", "cri-dockerd", "containerd"] as const;
export type RuntimeName = (typeof runtimeNames)[number];

/** A CRI runtime that is measured, and has the image busybox. */
export interface MeasuredRuntime extends Omit<MeasuredShim, "name"> {
  readonly name: RuntimeName;
  /** Its own name of busybox. */
  readonly image: string;
}

export type MeasuredRuntimes = Readonly<Record<RuntimeName, MeasuredRuntime>>;

/** Starts all three, with Docker's two on one dockerd. */
export async function startRuntimes(lab: Lab, dockerd: Dockerd, program: string): Promise<MeasuredRuntimes> {
  const image = basicImageNames.busybox;
  return {
    "docker-cri": { ...(await startOurs(lab, dockerd, program)), image },
    "cri-dockerd": { ...(await startPeer(lab, dockerd)), image },
    containerd: await startContainerd(lab),
  };
}

/** Starts containerd, with images from a registry of the lab. */
async function startContainerd(lab: Lab): Promise<MeasuredRuntime> {
  const registry = await lab.registry({ name: "bench-registry" });
  for (const image of (await imageSet("basic")).images) await registry.push(image);
  const pauseImage = registry.nameOf(basicImageNames.pause);
  const { service, endpoint } = await lab.containerd({ pauseImage });
  const image = registry.nameOf(basicImageNames.busybox);
  using clients = createClients({ endpoint });
  await clients.images.pullImage({ image: { image } });
  return { name: "containerd", service, endpoint, image };
}
