import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  accepts,
  basicImageNames,
  imageSet,
  prepareEngine,
  type Dockerd,
  type Lab,
} from "../test/docker/lab/index.js";
import { startOurs, startPeer, type MeasuredShim } from "./shims.js";

/** Who is measured, in the order of the table. */
export const streamingNames = ["docker-cri", "cri-dockerd", "containerd"] as const;
export type StreamingName = (typeof streamingNames)[number];

/** A CRI runtime with a streaming server. */
export interface StreamingPeer extends Omit<MeasuredShim, "name"> {
  readonly name: StreamingName;
  /** Its own name of busybox. */
  readonly image: string;
}

/** Starts all three, with Docker's two on one dockerd. */
export async function startStreamingPeers(
  lab: Lab,
  dockerd: Dockerd,
  program: string,
): Promise<StreamingPeer[]> {
  const image = basicImageNames.busybox;
  return [
    { ...(await startOurs(lab, dockerd, program)), image },
    { ...(await startPeer(lab, dockerd)), image },
    await startContainerd(lab),
  ];
}

/**
 * Starts the containerd of Debian 14, as a CRI runtime with images from a registry of the lab.
 * @throws CommandError when its packages cannot be had; Error when it does not serve.
 */
async function startContainerd(lab: Lab): Promise<StreamingPeer> {
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
  return { name: "containerd", service, endpoint: `unix://${socketIn(service.folder)}`, image };
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
