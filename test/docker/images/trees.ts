import { chmod, cp, link, mkdir, realpath, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "../lab/command.js";

const folders = [
  "bin",
  "dev",
  "etc",
  "home",
  "lib",
  "lib64",
  "proc",
  "root",
  "run",
  "sys",
  "usr/bin",
  "usr/sbin",
  "var/log",
  "var/run",
  "var/www",
];

/** /etc/passwd of every tree. */
export const users = `root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`;

/** /etc/group of every tree. */
export const groups = `root:x:0:
users:x:100:
www-data:x:33:
nogroup:x:65534:
`;

/** Fills a folder with a root around a busybox, the static one if none is given: every applet a hard link in /bin. */
export async function busyboxTree(tree: string, program = "/bin/busybox"): Promise<void> {
  for (const folder of folders) await mkdir(join(tree, folder), { recursive: true });
  for (const folder of ["tmp", "var/tmp"]) {
    await mkdir(join(tree, folder));
    await chmod(join(tree, folder), 0o1777);
  }
  await chmod(join(tree, "root"), 0o700);
  const busybox = join(tree, "bin/busybox");
  await addProgram(tree, program, "bin/busybox");
  const { stdout } = await run(program, ["--list"]);
  for (const applet of stdout.split("\n"))
    if (applet !== "" && applet !== "busybox") await link(busybox, join(tree, "bin", applet));
  await writeFile(join(tree, "etc/passwd"), users);
  await writeFile(join(tree, "etc/group"), groups);
}

/** Copies a program of this machine into a tree, with the libraries that it is linked with. */
export async function addProgram(tree: string, program: string, target = program): Promise<void> {
  await addFile(tree, program, target);
  // A static program makes ldd fail.
  const { stdout } = await run("ldd", [program], { allowFailure: true });
  for (const [library] of stdout.matchAll(/\/\S+/g)) await addFile(tree, library, library);
}

/** Copies a file into a tree, following links, with its mode. */
export async function addFile(tree: string, source: string, target: string): Promise<void> {
  const path = join(tree, target);
  await mkdir(dirname(path), { recursive: true });
  await cp(await realpath(source), path, { force: true });
}
