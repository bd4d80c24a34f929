import { createHash } from "node:crypto";
import { copyFile, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { root, run } from "./run.js";
import { configurationFiles, type Release } from "./tree.js";

const summary = "Docker as a container runtime for Kubernetes";
const description = `docker-cri answers the kubelet's CRI v1 calls with Docker Engine. It replaces
cri-dockerd on a node, which changes over, and back, with its pods running.`;

/** A `.deb`. @returns Its file name. @see deb(5), deb-control(5) */
export async function makeDeb(tree: string, out: string, release: Release): Promise<string> {
  const control = join(tree, "DEBIAN");
  await mkdir(control);
  const files = await filesOf(tree);
  const sizes = await Promise.all(files.map(async (file) => (await lstat(file)).size));
  const kilobytes = Math.ceil(sizes.reduce((sum, size) => sum + size, 0) / 1024);
  // A pre-release comes before its release: 1.0.0~rc.1.
  const version = release.version.replace("-", "~");
  const fields = [
    "Package: docker-cri",
    `Version: ${version}`,
    `Architecture: ${release.architecture.debian}`,
    "Maintainer: The docker-cri authors",
    `Installed-Size: ${kilobytes}`,
    "Depends: libc6 (>= 2.28), libstdc++6, libgcc-s1, libatomic1",
    "Recommends: docker.io | docker-ce | moby-engine",
    "Suggests: containernetworking-plugins",
    "Section: admin",
    "Priority: optional",
    `Description: ${summary}`,
    description.replaceAll(/^/gm, " "),
  ];
  await writeFile(join(control, "control"), `${fields.join("\n")}\n`);
  await writeFile(join(control, "conffiles"), `${configurationFiles.join("\n")}\n`);
  const sums: string[] = [];
  for (const file of files)
    if ((await lstat(file)).isFile()) sums.push(`${await md5(file)}  ${relative(tree, file)}\n`);
  await writeFile(join(control, "md5sums"), sums.join(""));
  for (const script of ["postinst", "prerm", "postrm"])
    await copyFile(join(root, "packaging", "debian", script), join(control, script));
  await run("chmod", ["0755", ...["postinst", "prerm", "postrm"].map((script) => join(control, script))]);
  const name = `docker-cri_${version}_${release.architecture.debian}.deb`;
  // Neither Debian 11's dpkg nor lintian takes zstd; xz takes a minute and a half of CPU time for 48 MB.
  const args = ["--root-owner-group", "-Zgzip", "-z9", "--build", tree, join(out, name)];
  await run("dpkg-deb", args, { env: epochOf(release) });
  await rm(control, { recursive: true });
  return name;
}

/** An `.rpm`. @returns Its file name. */
export async function makeRpm(tree: string, out: string, release: Release): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), "docker-cri-rpm-"));
  const { rpm } = release.architecture;
  const script = async (name: string) =>
    (await readFile(join(root, "packaging", "rpm", name), "utf8")).trimEnd();
  const paths = (await filesOf(tree)).map((file) => `/${relative(tree, file)}`);
  const listed = paths.map((path) =>
    configurationFiles.includes(path) ? `%config(noreplace) ${path}` : path,
  );
  const spec = [
    "Name: docker-cri",
    `Version: ${release.version.replace("-", "~")}`,
    "Release: 1",
    `Summary: ${summary}`,
    "License: Apache-2.0",
    "AutoReqProv: no",
    "Requires: glibc >= 2.28, libstdc++, libgcc, libatomic",
    `%description\n${description}`,
    `%post\n${await script("post")}`,
    `%preun\n${await script("preun")}`,
    `%postun\n${await script("postun")}`,
    `%files\n%defattr(-,root,root)\n%dir /etc/docker-cri\n%dir /usr/lib/docker-cri\n${listed.join("\n")}`,
  ];
  await writeFile(join(work, "docker-cri.spec"), `${spec.join("\n\n")}\n`);
  const macros = {
    _topdir: work,
    _rpmdir: work,
    _rpmfilename: "docker-cri.rpm",
    _buildhost: "docker-cri",
    _build_id_links: "none",
    _binary_payload: "w9.zstdio",
    // Nothing may strip the executable: the program is a part of it.
    __os_install_post: "%{nil}",
    debug_package: "%{nil}",
    use_source_date_epoch_as_buildtime: "1",
    clamp_mtime_to_source_date_epoch: "1",
  };
  const defines = Object.entries(macros).flatMap(([name, value]) => ["--define", `${name} ${value}`]);
  // rpmbuild removes its build root, so it gets a copy; hard links make it cheap.
  const buildRoot = join(work, "root");
  await run("cp", ["-al", tree, buildRoot]);
  const spend = [
    "-bb",
    "--noclean",
    "--target",
    rpm,
    "--buildroot",
    buildRoot,
    join(work, "docker-cri.spec"),
  ];
  await run("rpmbuild", [...defines, ...spend], { env: epochOf(release) });
  const name = `docker-cri-${release.version.replace("-", "~")}-1.${rpm}.rpm`;
  await copyFile(join(work, "docker-cri.rpm"), join(out, name));
  await rm(work, { recursive: true });
  return name;
}

/** A `.tar.gz` to be unpacked into `/usr/local`, without the files of `/etc`. @returns Its file name. */
export async function makeArchive(tree: string, out: string, release: Release): Promise<string> {
  const top = `docker-cri-${release.version}-linux-${release.architecture.node}`;
  const name = `${top}.tar.gz`;
  const owners = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=@${release.epoch}`];
  const format = ["--format=gnu", `--transform=flags=rS;s,^usr,${top},`, "--use-compress-program=gzip -n -6"];
  await run("tar", [...owners, ...format, "-cf", join(out, name), "-C", tree, "usr"]);
  return name;
}

/** Writes SHA256SUMS, for `sha256sum --check`. */
export async function writeSums(out: string, names: readonly string[]): Promise<void> {
  const lines = await Promise.all(
    [...names].sort().map(async (name) => {
      const hash = createHash("sha256").update(await readFile(join(out, name)));
      return `${hash.digest("hex")}  ${name}\n`;
    }),
  );
  await writeFile(join(out, "SHA256SUMS"), lines.join(""));
}

/** The files and links below a folder, in the order of their names. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.startsWith(join(folder, "DEBIAN/")))
    .sort();
}

async function md5(file: string): Promise<string> {
  return createHash("md5")
    .update(await readFile(file))
    .digest("hex");
}

function epochOf({ epoch }: Release): NodeJS.ProcessEnv {
  return { SOURCE_DATE_EPOCH: String(epoch) };
}
