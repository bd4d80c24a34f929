import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
  chmod,
} from "node:fs/promises";
import { basename, join } from "node:path";
import { run } from "./command.js";
import { withLock } from "./lock.js";
import { installPackages } from "./packages.js";
import { cachePath } from "./paths.js";
import { timed } from "./say.js";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** runc is left out: the machine's own serves every engine, and a patched one does not run. */
const programs = [
  "dockerd",
  "docker",
  "docker-proxy",
  "docker-init",
  "containerd",
  "containerd-shim-runc-v2",
];

/**
 * Unpacks Docker as another Debian release has it into one folder of the cache, in such a way that it
 * runs in this machine's own root: each program carries that release's loader and libraries beside it.
 * In a chroot or container the paths of bind mounts would mean something else.
 * @throws CommandError when packages cannot be had; Error when no Debian mirror is known.
 */
export async function bundleEngine(suite: string): Promise<string> {
  const parent = await cachePath("engines");
  const folder = join(parent, suite);
  const isThere = async (): Promise<boolean> => (await stat(folder).catch(() => undefined)) !== undefined;
  if (await isThere()) return folder;
  await installPackages("otherEngines");
  return await withLock(`engine-${suite}`, async () => {
    if (await isThere()) return folder;
    const work = join(parent, `.${suite}-${process.pid}`);
    await rm(work, { recursive: true, force: true });
    await mkdir(work, { recursive: true });
    try {
      await timed(`unpacking Docker of Debian ${suite}`, async () => {
        const tree = await unpack(suite, work);
        // The final path goes into the programs, so they are made for it and moved as a whole.
        await assemble(tree, join(work, "bundle"), folder);
      });
      await rename(join(work, "bundle"), folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    return folder;
  });
}

/**
 * Unpacks the CNI plugins of Debian 14 into a folder of the cache: programs that need nothing of their release.
 * Answers the folder.
 * @throws as {@link bundleEngine}.
 */
export async function newerPlugins(): Promise<string> {
  return await newerFolder("plugins", "forky", "containernetworking-plugins", "usr/lib/cni");
}

/** Unpacks etcd of Debian's sid, as far as {@link newerPlugins}. Answers its path. @throws as {@link bundleEngine}. */
export async function etcdProgram(): Promise<string> {
  return join(await newerFolder("etcd", "sid", "etcd-server", "usr/bin"), "etcd");
}

/** Takes one folder of a package of another Debian release into the cache. Answers its path there. */
async function newerFolder(
  name: string,
  suite: string,
  packageName: string,
  inside: string,
): Promise<string> {
  const folder = join(await cachePath(name), suite);
  return await withLock(`${name}-${suite}`, async () => {
    if ((await stat(folder).catch(() => undefined)) !== undefined) return folder;
    await installPackages("otherEngines");
    const work = `${folder}.${process.pid}`;
    try {
      const archives = await download(suite, work, async () => Promise.resolve([packageName]));
      const archive = archives.find((path) => basename(path).startsWith(`${packageName}_`));
      await run("dpkg-deb", ["-x", archive ?? "", join(work, "tree")]);
      await rename(join(work, "tree", inside), folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    return folder;
  });
}

/** Unpacks docker.io and the libraries that it depends on. */
async function unpack(suite: string, work: string): Promise<string> {
  const tree = join(work, "tree");
  const archives = await download(suite, work, async (options) => {
    const { stdout } = await run("apt-cache", [...options, "show", "docker-cli"], { allowFailure: true });
    // Before Debian 13 the command line is part of docker.io.
    return stdout.includes("Package: docker-cli") && suite !== "bookworm"
      ? ["docker.io", "docker-cli"]
      : ["docker.io"];
  });
  for (const archive of archives)
    if (/^(docker|containerd|tini|lib)/.test(basename(archive))) await run("dpkg-deb", ["-x", archive, tree]);
  return tree;
}

/** Downloads packages with all that they depend on, as for an empty machine. Answers the archives' paths. */
async function download(
  suite: string,
  work: string,
  names: (aptOptions: readonly string[]) => Promise<readonly string[]>,
): Promise<string[]> {
  const lists = join(work, "lists");
  const cache = join(work, "cache");
  await mkdir(join(lists, "partial"), { recursive: true });
  await mkdir(join(cache, "archives", "partial"), { recursive: true });
  await mkdir(join(work, "tree"));
  const sources = join(work, "sources.list");
  await writeFile(sources, `deb [signed-by=${keyring}] ${await debianMirror()} ${suite} main\n`);
  await writeFile(join(work, "status"), "");
  const settings = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::State::lists": lists,
    "Dir::State::status": join(work, "status"),
    "Dir::Cache": cache,
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  const apt = async (...args: string[]): Promise<void> => {
    await run("apt-get", ["-q", ...options, ...args], { env: { DEBIAN_FRONTEND: "noninteractive" } });
  };
  await apt("update");
  await apt("install", "--yes", "--download-only", "--no-install-recommends", ...(await names(options)));
  const archives = (await readdir(join(cache, "archives"))).filter((name) => name.endsWith(".deb"));
  return archives.map((name) => join(cache, "archives", name));
}

async function assemble(tree: string, bundle: string, finalFolder: string): Promise<void> {
  await mkdir(bundle);
  const files = await filesByName(tree);
  const loaders = new Set<string>();
  const libraries = new Set<string>();
  const copy = async (name: string, target: string): Promise<void> => {
    const source = files.get(name);
    if (source === undefined) throw new Error(`the packages of this release hold no ${name}`);
    await copyFile(await realpath(source), join(bundle, target));
    await chmod(join(bundle, target), 0o755);
  };
  const addNeeded = async (file: string): Promise<void> => {
    const { stdout } = await run("patchelf", ["--print-needed", join(bundle, file)], { allowFailure: true });
    for (const library of stdout.split("\n").filter((name) => name !== "" && !libraries.has(name))) {
      libraries.add(library);
      await copy(library, library);
      await addNeeded(library);
    }
  };
  for (const program of programs) {
    await copy(program, program);
    const loader = await run("patchelf", ["--print-interpreter", join(bundle, program)], {
      allowFailure: true,
    });
    // A static program runs as it is.
    if (loader.exitCode !== 0) continue;
    const name = basename(loader.stdout.trim());
    loaders.add(name);
    libraries.add(name);
    await copy(name, name);
    await addNeeded(program);
    await patch(
      ["--set-interpreter", join(finalFolder, name), "--force-rpath", "--set-rpath", finalFolder],
      join(bundle, program),
    );
  }
  for (const library of libraries)
    if (!loaders.has(library) && !/^libc\.so/.test(library))
      await patch(["--force-rpath", "--set-rpath", finalFolder], join(bundle, library));
}

async function patch(options: readonly string[], file: string): Promise<void> {
  await run("patchelf", [...options, file]);
}

/** Every file and link of a tree by its name; of several the shortest path, which is the usual place. */
async function filesByName(tree: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    if (path.includes("/share/")) continue;
    const known = found.get(entry.name);
    if (known === undefined || path.length < known.length) found.set(entry.name, path);
  }
  return found;
}

/**
 * The mirror from which this machine installs Debian packages: DOCKER_CRI_LAB_DEBIAN_MIRROR, or the
 * first one of apt's sources that serves Debian.
 * @throws Error when neither names one.
 */
async function debianMirror(): Promise<string> {
  const given = process.env["DOCKER_CRI_LAB_DEBIAN_MIRROR"];
  if (given !== undefined) return given;
  const release = await readFile("/etc/os-release", "utf8");
  const codename = /^VERSION_CODENAME=(\w+)/m.exec(release)?.[1] ?? "";
  const { stdout } = await run("apt-get", ["indextargets", "--format", "$(RELEASE) $(REPO_URI)"]);
  const line = stdout.split("\n").find((each) => each.startsWith(`${codename} `));
  const uri = /^ID=debian$/m.test(release) ? line?.split(" ")[1] : undefined;
  if (uri === undefined)
    throw new Error("no Debian mirror among apt's sources: name one in DOCKER_CRI_LAB_DEBIAN_MIRROR");
  return uri;
}
