import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unpackPackage } from "../lab/packages.js";
import { imageProgram } from "../lab/tools.js";
import { pauseImage } from "./basic.js";
import {
  imageArchitecture,
  makeImage,
  packLayer,
  type Image,
  type ImageConfig,
  type Layer,
} from "./image.js";
import { addFile, addProgram, busyboxTree, groups, users } from "./trees.js";

const e2e = "registry.k8s.io/e2e-test-images";
const staging = "gcr.io/k8s-staging-cri-tools";
const shell: ImageConfig = { Cmd: ["sh"] };

/**
 * Makes, in a folder, the images that critest v1.37 pulls, under the names it pulls them by. critest is built with
 * the digest of this set's test-image-digest.
 */
export async function critestImages(folder: string): Promise<Image[]> {
  const tree = join(folder, "base");
  await baseTree(tree, folder);
  const variants = new Variants(await packLayer(tree, folder), folder);
  return [
    await pauseImage(folder, ["registry.k8s.io/pause:3.10"]),
    // A spec counts this one's tags: it must not be the same image as 3.10.
    await pauseImage(folder, ["registry.k8s.io/pause:3.9", "k8s.gcr.io/pause:3.9"], {
      Labels: { version: "3.9" },
    }),
    makeImage([`${e2e}/busybox:1.29-2`, "registry.k8s.io/busybox:1.29-2"], [variants.base], shell),
    await variants.make([`${e2e}/nonewprivs:1.3`], { Entrypoint: ["/nnp"] }, async (top) => {
      await addFile(top, await imageProgram("nnp"), "nnp");
      await chmod(join(top, "nnp"), 0o4755);
    }),
    ...(await serverImages(variants)),
    ...(await imageSpecImages(variants)),
  ];
}

/** Servers under the process names that critest looks for. */
async function serverImages(variants: Variants): Promise<Image[]> {
  const server = async (name: string, program: string, args: readonly string[]): Promise<Image> =>
    await variants.make([name], { Cmd: [program, ...args] }, async (top) => {
      await addFile(top, await imageProgram("webserver"), program);
    });
  const hostNetwork = `${staging}/hostnet-nginx-${imageArchitecture()}:latest`;
  return [
    await server(`${e2e}/nginx:1.14-2`, "/usr/sbin/nginx", [
      "-pid-file",
      "/var/run/nginx.pid",
      "master process",
    ]),
    await server(`${e2e}/httpd:2.4.39-4`, "/usr/sbin/httpd", ["-say", "httpd serves"]),
    await server(hostNetwork, "/usr/sbin/nginx", ["-listen", ":12003"]),
  ];
}

/** The images of critest's image manager specs: each of its own content, so that each has an id of its own. */
async function imageSpecImages(variants: Variants): Promise<Image[]> {
  const named = async (tags: readonly string[], config = shell): Promise<Image> =>
    await variants.make(
      tags.map((tag) => `${staging}/${tag}`),
      config,
      async (top) => {
        await writeFile(join(top, "name"), `${tags.join(" ")}\n`);
      },
    );
  const images: Image[] = [];
  for (const name of [
    "latest:latest",
    "tag:test",
    "tag:all",
    "digest:latest",
    "1:latest",
    "2:latest",
    "3:latest",
  ])
    images.push(await named([`test-image-${name}`]));
  images.push(await named(["test-image-tags:1", "test-image-tags:2", "test-image-tags:3"]));
  const byUser = {
    uid: "1002",
    username: "www-data",
    "uid-group": "1003:100",
    "username-group": "www-data:100",
  };
  for (const [name, User] of Object.entries(byUser))
    images.push(await named([`test-image-user-${name}:latest`], { ...shell, User }));
  images.push(await groupImage(variants));
  return images;
}

/** The image whose user /etc/group puts in one more group. */
async function groupImage(variants: Variants): Promise<Image> {
  const config = { ...shell, User: "1000" };
  return await variants.make([`${staging}/test-image-predefined-group:latest`], config, async (top) => {
    await mkdir(join(top, "etc"));
    await writeFile(join(top, "etc/passwd"), `${users}default-user:x:1000:1000::/home:/bin/sh\n`);
    const more = "default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n";
    await writeFile(join(top, "etc/group"), `${groups}${more}`);
  });
}

/**
 * A root around the busybox that is not static: the static one's shell runs its own applets in place of
 * what is in /bin, which a masked /bin/ls is to be seen by. Both packages hold the same files, so this
 * one is unpacked and not installed. pgrep and ipcs are applets of neither.
 */
export async function baseTree(tree: string, folder: string): Promise<void> {
  await busyboxTree(tree, join(await unpackPackage("busybox", join(folder, "package")), "bin/busybox"));
  for (const program of ["pgrep", "ipcs"]) {
    await rm(join(tree, "bin", program), { force: true });
    await addProgram(tree, `/usr/bin/${program}`, `bin/${program}`);
  }
}

/** Makes images that are the base layer and a small one on top. */
class Variants {
  constructor(
    readonly base: Layer,
    private readonly folder: string,
  ) {}

  async make(
    tags: readonly string[],
    config: ImageConfig,
    fill: (top: string) => Promise<void>,
  ): Promise<Image> {
    const top = join(this.folder, "top");
    await rm(top, { recursive: true, force: true });
    await mkdir(top);
    await fill(top);
    return makeImage(tags, [this.base, await packLayer(top, this.folder)], config);
  }
}
