import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  imageSet,
  kubernetesProgram,
  makeImage,
  packLayer,
  writeArchive,
  type Dockerd,
} from "../docker/lab/index.js";
import { addFile } from "../docker/images/trees.js";

/** Kubernetes' own test program, on top of busybox. */
export const agnhost = "registry.k8s.io/e2e-test-images/agnhost:lab";

/** Makes the agnhost image and loads it into an engine. */
export async function loadAgnhost(dockerd: Dockerd): Promise<void> {
  const folder = join(dockerd.folder, "agnhost");
  const tree = join(folder, "tree");
  await mkdir(tree, { recursive: true });
  await addFile(tree, await kubernetesProgram("test/images/agnhost", "1.36"), "agnhost");
  const busybox = (await imageSet("basic")).images[0]?.layers ?? [];
  const image = makeImage([agnhost], [...busybox, await packLayer(tree, folder)], {
    Entrypoint: ["/agnhost"],
  });
  const archive = join(folder, "agnhost.tar");
  await writeArchive([image], join(folder, "archive"), archive);
  await dockerd.docker(["load", "--quiet", "--input", archive]);
}
