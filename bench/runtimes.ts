import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClients } from "../src/client/index.js";
import {
  accepts,
  basicImageNames,
  imageSet,
  prepareEngine,
  type Dockerd,
  type Lab,
} from "../test/docker/lab/index.js";
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

/**
 * Starts the containerd of Debian 14, as a CRI runtime with images from a registry of the lab.
 * @throws CommandError when its packages cannot be had; Error when it does not serve.
 */
async function startContainerd(lab: Lab): Promise<MeasuredRuntime> {
  const engine = await prepareEngine("28");
  const registry = await lab.registry({ name: "bench-registry" });
  for (const image of (await imageSet("basic")).images) await registry.push(image);
  const socketIn = (folder: string) => join(folder, "containerd.sock");
  const service = await lab.service({
    name: "containerd",
    command: join(engine.dockerd, "..", "containerd"),
    args: async (folder) => {
      const file = join(folder, "config.toml");
      await mkdir(join(folder, "cni"));
      await writeFile(file, containerdConfig(folder, registry.nameOf(basicImageNames.pause)));
      return ["--config", file];
    },
    env: { PATH: engine.path },
    ready: async (folder) => await accepts(socketIn(folder)),
  });
  const image = registry.nameOf(basicImageNames.busybox);
  const endpoint = `unix://${socketIn(service.folder)}`;
  using clients = createClients({ endpoint });
  await clients.images.pullImage({ image: { image } });
  return { name: "containerd", service, endpoint, image };
}

function containerdConfig(folder: string, pause: string): string {
  const text = JSON.stringify;
  return `
    version = 3
    root = ${text(join(folder, "root"))}
    state = ${text(join(folder, "state"))}
    [grpc]
      address = ${text(join(folder, "containerd.sock"))}
    [plugins.'io.containerd.cri.v1.runtime']
      restrict_oom_score_adj = true
      disable_apparmor = true
      [plugins.'io.containerd.cri.v1.runtime'.cni]
        conf_dir = ${text(join(folder, "cni"))}
    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = ${text(pause)}
  `;
}
