import { access, chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isOnPath, run } from "./command.js";
import { withLock } from "./lock.js";
import { timed } from "./say.js";

const yes = (): boolean => true;
const no = (): boolean => false;
const policyPath = "/usr/sbin/policy-rc.d";

/** What each part of the lab needs from the system's package manager. */
export const packageSets = {
  engine: [
    "docker.io",
    "iptables",
    "iproute2",
    "jq",
    "procps",
    "util-linux",
    "socat",
    "conntrack",
    "busybox-static",
  ],
  network: ["containernetworking-plugins"],
  registry: ["docker-registry", "apache2-utils"],
  packaging: ["dpkg-dev", "libatomic1", "man-db", "rpm", "zsh"],
  terminal: ["tmux"],
  bus: ["dbus-daemon"],
  otherEngines: ["patchelf", "debian-archive-keyring"],
} as const;

/** A part of the lab that needs packages. */
export type PackageSet = keyof typeof packageSets;

/**
 * Installs what the given parts need, skipping what is there. Services that a package would start stay
 * off.
 * @throws CommandError when this is no Debian or Ubuntu, this process is not root, or apt-get fails.
 */
export async function installPackages(...sets: readonly PackageSet[]): Promise<void> {
  const wanted: string[] = sets.flatMap((set) => [...packageSets[set]]);
  // Debian from 13 on has the command line in a package of its own.
  if (wanted.includes("docker.io") && !(await access("/usr/bin/docker").then(yes, no)))
    wanted.push("docker-cli");
  await installMissing([...new Set(wanted)]);
}

/** Installs Debian's Go unless there is one, of whatever version. @throws CommandError as `installPackages` does. */
export async function installGo(): Promise<void> {
  if (!(await isOnPath("go"))) await installMissing(["golang-go"]);
}

/**
 * Unpacks a package into a new folder without installing it, and answers the folder.
 * @throws CommandError when apt-get cannot have it.
 */
export async function unpackPackage(name: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const download = async (): Promise<boolean> =>
    (await run("apt-get", ["-q", "download", name], { cwd: folder, allowFailure: true })).exitCode === 0;
  if (!(await download())) {
    await apt(["update"], true);
    await run("apt-get", ["-q", "download", name], { cwd: folder });
  }
  const [archive] = (await readdir(folder)).filter((file) => file.endsWith(".deb"));
  const tree = join(folder, "tree");
  await run("dpkg-deb", ["-x", join(folder, archive ?? ""), tree]);
  return tree;
}

async function installMissing(names: readonly string[]): Promise<void> {
  if ((await missing(names)).length === 0) return;
  await withLock("apt", async () => {
    const absent = await missing(names);
    if (absent.length === 0) return;
    await timed(`installing ${absent.join(", ")}`, async () => {
      await withoutServices(async () => {
        await apt(["update"], true);
        const known = await Promise.all(absent.map(async (name) => ((await isKnown(name)) ? [name] : [])));
        await apt(["install", "--yes", "--no-install-recommends", ...known.flat()]);
      });
    });
  });
}

async function missing(names: readonly string[]): Promise<string[]> {
  const { stdout } = await run("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...names], {
    allowFailure: true,
  });
  const installed = new Set(
    stdout.split("\n").flatMap((line) => (line.endsWith(" installed") ? [line.split(" ")[0]] : [])),
  );
  return names.filter((name) => !installed.has(name));
}

/** docker-cli exists in some releases only; every other name is passed on, for apt-get's own error. */
async function isKnown(name: string): Promise<boolean> {
  if (name !== "docker-cli") return true;
  const { stdout } = await run("apt-cache", ["policy", name], { allowFailure: true });
  return /Candidate: (?!\(none\))/.test(stdout);
}

async function apt(args: readonly string[], allowFailure = false): Promise<void> {
  await run("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", ...args], {
    env: { DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_SUSPEND: "1" },
    timeoutMs: 900_000,
    allowFailure,
  });
}

/** Packages ask policy-rc.d whether they may start their service: for the time of `work` the answer is no. */
async function withoutServices(work: () => Promise<void>): Promise<void> {
  const before = await readFile(policyPath).catch(() => undefined);
  const mode = before === undefined ? 0o755 : (await stat(policyPath)).mode & 0o7777;
  await writeFile(policyPath, "#!/bin/sh\nexit 101\n");
  await chmod(policyPath, 0o755);
  try {
    await work();
  } finally {
    if (before === undefined) await rm(policyPath, { force: true });
    else {
      await writeFile(policyPath, before);
      await chmod(policyPath, mode);
    }
  }
}
