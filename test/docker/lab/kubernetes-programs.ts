import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { go } from "./go.js";
import { cached } from "./tools.js";

/** The releases whose programs the lab can build. The sum of the kubernetes module pins its go.sum, and so all that it needs. */
const releases = {
  "1.34": { version: "1.34.4", sum: "h1:Yy6R4QB8C9kJPp25GFqEvX5XQwY5qzKeqD0Xx6oAcmk=" },
  "1.36": { version: "1.36.1", sum: "h1:Mt7NKigaZ2KmOmCLhX81lGlH9JU5wjXnYhXnxAun9XA=" },
  "1.37": { version: "1.37.2", sum: "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE=" },
} as const;

export type KubeletVersion = keyof typeof releases;

export const kubeletVersions = Object.keys(releases) as KubeletVersion[];

/** Such as "1.36.1". */
export function releaseVersion(release: KubeletVersion): string {
  return releases[release].version;
}

/** A kubelet. Answers its path. @throws as {@link kubernetesProgram}. */
export async function kubeletProgram(name: KubeletVersion): Promise<string> {
  return await kubernetesProgram("cmd/kubelet", name);
}

/**
 * A program of the module k8s.io/kubernetes. It is kept in the cache; the first build takes some minutes. Answers its path.
 * @param path Of its package in the module, such as "cmd/kube-apiserver".
 * @throws Error when the module's sum differs; CommandError when Go cannot build it.
 */
export async function kubernetesProgram(path: string, release: KubeletVersion): Promise<string> {
  return await built(basename(path), release, ["build"], `k8s.io/kubernetes/${path}`);
}

/** The node e2e suite, and the ginkgo that it is run with. Answers their paths. @throws as {@link kubernetesProgram}. */
export async function nodeE2ePrograms(
  release: KubeletVersion,
): Promise<{ readonly suite: string; readonly ginkgo: string }> {
  return {
    suite: await built("e2e_node.test", release, ["test", "-c"], "k8s.io/kubernetes/test/e2e_node"),
    ginkgo: await built("ginkgo", release, ["build"], "github.com/onsi/ginkgo/v2/ginkgo"),
  };
}

/** A program out of a module of ours that requires a release of Kubernetes. */
async function built(
  name: string,
  release: KubeletVersion,
  verb: readonly string[],
  target: string,
): Promise<string> {
  const { version, sum } = releases[release];
  const key = `${version}-${createHash("sha256").update(sum).digest("hex").slice(0, 12)}`;
  return await cached(name, key, async (output) => {
    const folder = `${output}-module`;
    await mkdir(folder, { recursive: true });
    try {
      await writeModule(folder, version, sum);
      const set = `-X k8s.io/component-base/version.gitVersion=v${version}`;
      const flags = ["-mod=mod", "-trimpath", `-ldflags=-s -w ${set}`, "-o", output];
      await go([...verb, ...flags, target], folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

/**
 * Kubernetes' own go.mod replaces the modules of its staging folder by files that the published module does not have.
 * A module of ours replaces them by their published versions: v1.36.1 belongs to v0.36.1.
 */
async function writeModule(folder: string, version: string, sum: string): Promise<void> {
  const module = `k8s.io/kubernetes@v${version}`;
  const download = JSON.parse(await go(["mod", "download", "-json", module], folder)) as {
    readonly Dir: string;
    readonly Sum: string;
  };
  if (download.Sum !== sum) throw new Error(`${module} has the sum ${download.Sum}, not ${sum}`);
  const original = await readFile(join(download.Dir, "go.mod"), "utf8");
  const staging = [...original.matchAll(/^\t(k8s\.io\/[a-z-]+) => \.\/staging\//gm)];
  const lines = [
    "module docker-cri.invalid/kubelet",
    ...(original.match(/^(?:go|godebug) .*$/gm) ?? []),
    `require k8s.io/kubernetes v${version}`,
    ...staging.map(([, name]) => `replace ${name} => ${name} v${version.replace(/^1/, "0")}`),
  ];
  await writeFile(join(folder, "go.mod"), `${lines.join("\n")}\n`);
  await copyFile(join(download.Dir, "go.sum"), join(folder, "go.sum"));
}
