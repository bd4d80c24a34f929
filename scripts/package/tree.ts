import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { bashCompletion, zshCompletion } from "./completion.js";
import { makeExecutable } from "./executable.js";
import { nodeFor, type Architecture } from "./inputs.js";
import { manualPage } from "./manual.js";
import { root } from "./run.js";

/** What is built: the program's version, for one architecture, as if at one time. */
export interface Release {
  readonly version: string;
  readonly architecture: Architecture;
  /** Seconds since 1970: the time of all files. */
  readonly epoch: number;
}

/** Files that an administrator changes, and an upgrade must keep. */
export const configurationFiles = ["/etc/docker-cri/config.yaml", "/etc/default/docker-cri"];

/** Makes the file tree of the packages, as it will lie below `/`. */
export async function makeTree(tree: string, release: Release): Promise<void> {
  const usr = join(tree, "usr");
  const docs = join(usr, "share", "doc", "docker-cri");
  await makeExecutable(join(usr, "lib", "docker-cri"), release.architecture);
  await mkdir(join(usr, "bin"));
  await symlink("../lib/docker-cri/docker-cri", join(usr, "bin", "docker-cri"));
  for (const unit of ["docker-cri.service", "docker-cri.socket"])
    await copy(join(root, "packaging", "systemd", unit), join(usr, "lib", "systemd", "system", unit));
  await copy(join(root, "packaging", "default"), join(tree, "etc", "default", "docker-cri"));
  await write(join(tree, "etc", "docker-cri", "config.yaml"), await configurationFile());
  const date = new Date(release.epoch * 1000).toISOString().slice(0, 10);
  const page = gzipSync(manualPage(release.version, date), { level: 9 });
  await write(join(usr, "share", "man", "man8", "docker-cri.8.gz"), page);
  await write(join(usr, "share", "bash-completion", "completions", "docker-cri"), bashCompletion());
  for (const folder of ["vendor-completions", "site-functions"])
    await write(join(usr, "share", "zsh", folder, "_docker-cri"), zshCompletion());
  const changes = gzipSync(await readFile(join(root, "CHANGELOG.md")), { level: 9 });
  await write(join(docs, "changelog.gz"), changes);
  await copy(join(root, "README.md"), join(docs, "README.md"));
  await write(join(docs, "copyright"), await copyright(release));
}

/** The configuration file, all of it comments: the defaults of `docs/configuration.md`. */
export async function configurationFile(): Promise<string> {
  const text = await readFile(join(root, "docs", "configuration.md"), "utf8");
  const [, defaults = ""] = /```yaml\n(listen:[^]*?)```/.exec(text) ?? [];
  if (defaults === "") throw new Error("docs/configuration.md shows no configuration file");
  const lines = defaults.trimEnd().replaceAll(/^/gm, "# ");
  return `# The configuration of \`docker-cri serve\`. Each key is shown with its default.\n\n${lines}\n`;
}

/** The licences of what is inside: docker-cri's, and Node's with those of its parts. */
async function copyright({ architecture }: Release): Promise<string> {
  const own = await readFile(join(root, "LICENSE"), "utf8");
  const node = await readFile(join(await nodeFor(architecture.node), "LICENSE"), "utf8");
  return `docker-cri\n\n${own}\n\nNode.js, which /usr/lib/docker-cri/docker-cri contains\n\n${node}`;
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
  await chmod(to, 0o644);
}

async function write(to: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await writeFile(to, content, { mode: 0o644 });
}
