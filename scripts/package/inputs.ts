import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { root, run } from "./run.js";

/** A processor architecture by the names that Node, Debian and RPM have for it. */
export interface Architecture {
  readonly node: "x64" | "arm64";
  readonly debian: string;
  readonly rpm: string;
}

export const architectures: readonly Architecture[] = [
  { node: "x64", debian: "amd64", rpm: "x86_64" },
  { node: "arm64", debian: "arm64", rpm: "aarch64" },
];

/** The Node that the executable is made of: npm packages with Node's own binaries, pinned by their hashes. */
export const nodeVersion = "26.12.1";

const nodeIntegrity = {
  x64: "sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==",
  arm64: "sha512-8Oxs6Y7rDcKufVIM/zYRSwytj46WOrZk7yFCLTKDcs17bBjAeD9HMAqo97hMfMyxozIud0S4vZCs5WB/3iavNQ==",
} as const;

/** @returns The folder of the unpacked npm package that holds Node for an architecture. */
export function nodeFor(node: Architecture["node"]): Promise<string> {
  return unpacked(`node-linux-${node}`, nodeVersion, nodeIntegrity[node]);
}

/** @returns The file of koffi's native part, in the version that package-lock.json names. */
export async function koffiFor(node: Architecture["node"]): Promise<string> {
  const name = `@koromix/koffi-linux-${node}`;
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { version: string; integrity: string } | undefined>;
  };
  const locked = lock.packages[`node_modules/${name}`];
  if (!locked) throw new Error(`package-lock.json does not name ${name}: is koffi still a dependency?`);
  return join(await unpacked(name, locked.version, locked.integrity), `linux_${node}`, "koffi.node");
}

/** Fetches and unpacks a package once; it is kept until the next `npm ci`. @throws Error when its hash is another. */
async function unpacked(name: string, version: string, integrity: string): Promise<string> {
  const cache = join(root, "node_modules", ".cache", "docker-cri-package");
  const folder = join(cache, `${name.replaceAll("/", "+")}-${version}`);
  const found = await readFile(join(folder, "package", "package.json")).catch(() => undefined);
  if (found) return join(folder, "package");
  await mkdir(cache, { recursive: true });
  const temporary = await mkdtemp(join(cache, "fetch-"));
  const packed = await run("npm", [
    "pack",
    "--silent",
    "--pack-destination",
    temporary,
    `${name}@${version}`,
  ]);
  const archive = join(temporary, packed.trim());
  const hash = `sha512-${createHash("sha512")
    .update(await readFile(archive))
    .digest("base64")}`;
  if (hash !== integrity) throw new Error(`${name} ${version} has the hash ${hash}, not ${integrity}`);
  await run("tar", ["-xzf", archive, "-C", temporary]);
  await rm(archive);
  await rm(folder, { recursive: true, force: true });
  await rename(temporary, folder);
  return join(folder, "package");
}
