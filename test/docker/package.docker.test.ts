import assert from "node:assert/strict";
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { connectPortForward, createClients } from "../../src/client/index.js";
import { podLife } from "../wire/pod-life.js";
import { CrictlCri } from "./crictl-cri.js";
import { accepts, crictl, installPackages, run, withLab } from "./lab/index.js";

const root = join(import.meta.dirname, "..", "..");
const epoch = "1767225600";

const installed = [
  "/etc/default/docker-cri",
  "/etc/docker-cri/config.yaml",
  "/usr/bin/docker-cri -> ../lib/docker-cri/docker-cri",
  "/usr/lib/docker-cri/docker-cri",
  "/usr/lib/docker-cri/koffi.node",
  "/usr/lib/systemd/system/docker-cri.service",
  "/usr/lib/systemd/system/docker-cri.socket",
  "/usr/share/bash-completion/completions/docker-cri",
  "/usr/share/doc/docker-cri/README.md",
  "/usr/share/doc/docker-cri/changelog.gz",
  "/usr/share/doc/docker-cri/copyright",
  "/usr/share/man/man8/docker-cri.8.gz",
  "/usr/share/zsh/site-functions/_docker-cri",
  "/usr/share/zsh/vendor-completions/_docker-cri",
];

describe("the packages", { timeout: 1_200_000 }, () => {
  let folder: string;
  let deb: string;
  before(async () => {
    await installPackages("packaging");
    folder = await mkdtemp(join(tmpdir(), "docker-cri-packages-"));
    await run("npm", ["run", "--silent", "build"], { cwd: root });
    await build("first", "0022");
    deb = join(folder, "first", "docker-cri_0.1.0_amd64.deb");
  });
  after(async () => {
    await run("dpkg", ["--purge", "docker-cri"], { allowFailure: true });
    await rm(folder, { recursive: true, force: true });
  });

  async function build(name: string, umask: string): Promise<void> {
    const command = `umask ${umask}; exec npx tsx scripts/package/main.ts --out "$0"`;
    const env = { SOURCE_DATE_EPOCH: epoch, TMPDIR: await mkdtemp(join(folder, "tmp-")) };
    await run("sh", ["-c", command, join(folder, name)], { cwd: root, env });
  }

  /** Lists a package's files as `mode owner path`, links with their targets. */
  async function contents(): Promise<string[][]> {
    const { stdout } = await run("dpkg-deb", ["--contents", deb]);
    const lines = stdout.trim().split("\n");
    return lines.map((line) => {
      const [, mode = "", owner = "", path = ""] = /^(\S+) (\S+) +\d+ \S+ \S+ \.(.*)$/.exec(line) ?? [];
      return [mode, owner, path];
    });
  }

  it("are the same, byte by byte, when they are built again", async () => {
    await build("second", "0077");
    const names = (await readdir(join(folder, "first"))).sort();
    assert.deepEqual(names, [
      "SHA256SUMS",
      "docker-cri-0.1.0-1.x86_64.rpm",
      "docker-cri-0.1.0-linux-x64.tar.gz",
      "docker-cri-0.1.0.spdx.json",
      "docker-cri_0.1.0_amd64.deb",
    ]);
    const [first, second] = await Promise.all(
      ["first", "second"].map((build) => readFile(join(folder, build, "SHA256SUMS"), "utf8")),
    );
    assert.equal(second, first);
    await run("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: join(folder, "second") });
    await rm(join(folder, "second"), { recursive: true });
  });

  it("contain the files of a node, owned by root", async () => {
    const files = await contents();
    const paths = files.filter(([mode]) => !mode?.startsWith("d")).map(([, , path]) => path);
    assert.deepEqual(paths.sort(), installed);
    for (const [mode = "", owner, path] of files) {
      assert.equal(owner, "root/root", path);
      const executable = mode.startsWith("d") || path === "/usr/lib/docker-cri/docker-cri";
      if (!mode.startsWith("l")) assert.equal(mode.slice(1), executable ? "rwxr-xr-x" : "rw-r--r--", path);
    }
    const { stdout: listed } = await run("rpm", [
      "-qlp",
      join(folder, "first", "docker-cri-0.1.0-1.x86_64.rpm"),
    ]);
    const inRpm = installed.map((line) => line.split(" ")[0] ?? "");
    assert.deepEqual(
      listed.trim().split("\n").sort(),
      [...inRpm, "/etc/docker-cri", "/usr/lib/docker-cri"].sort(),
    );
    const sbom = JSON.parse(await readFile(join(folder, "first", "docker-cri-0.1.0.spdx.json"), "utf8")) as {
      packages: { name: string }[];
    };
    const parts = sbom.packages.map(({ name }) => name);
    for (const name of ["docker-cri", "node", "dockerode", "koffi"]) assert.ok(parts.includes(name), name);
    assert.ok(!parts.includes("eslint"));
  });

  it("install with dpkg, start nothing, and report how to change over", async () => {
    const { stdout } = await run("dpkg", ["--install", deb]);
    assert.match(stdout, /not started[^]*systemctl disable --now cri-docker\.socket/);
    assert.equal((await run("dpkg", ["--verify", "docker-cri"])).stdout, "");
    const version = await run("docker-cri", ["--version"], { env: { NODE_OPTIONS: "--wrong" } });
    assert.equal(version.stdout, "docker-cri 0.1.0\n");
    assert.match((await run("docker-cri", ["demo"])).stdout, /0 pods left/);
    const config = [
      "--config",
      "/etc/docker-cri/config.yaml",
      "--docker-endpoint",
      `unix://${folder}/none.sock`,
    ];
    const doctor = await run("docker-cri", ["doctor", "--json", ...config], { allowFailure: true });
    assert.equal(doctor.exitCode, 1, doctor.stderr);
    assert.match(doctor.stdout, /none\.sock/);
    assert.match(
      (await run("docker-cri", ["logs", "/etc/hostname"], { allowFailure: true })).stderr,
      /hostname/,
    );
  });

  it("have a man page without warnings, and completion that shells take", async () => {
    const page = await run("man", ["--warnings", "8", "docker-cri"], { env: { MANPAGER: "cat" } });
    assert.equal(page.stderr, "");
    assert.match(page.stdout, /--container-runtime-endpoint <url>/);
    const bash = `. /usr/share/bash-completion/completions/docker-cri
      COMP_WORDS=(docker-cri serve --docker-e); COMP_CWORD=2; _docker_cri; echo "\${COMPREPLY[@]}"
      COMP_WORDS=(docker-cri s); COMP_CWORD=1; _docker_cri; echo "\${COMPREPLY[@]}"`;
    assert.equal((await run("bash", ["-c", bash])).stdout, "--docker-endpoint\nserve\n");
    await run("zsh", ["-n", "/usr/share/zsh/vendor-completions/_docker-cri"]);
  });

  it("serve crictl on a real dockerd, port-forward with the native part included", async () => {
    await withLab(async (lab) => {
      const [program, dockerd, registry] = await Promise.all([crictl(), lab.dockerd(), lab.registry()]);
      const image = registry.nameOf("busybox:1.36");
      await dockerd.docker(["tag", "busybox:1.36", image]);
      await dockerd.docker(["push", image]);
      const service = await lab.service({
        name: "docker-cri",
        command: "docker-cri",
        args: (own) => [
          ...["serve", "--container-runtime-endpoint", `unix://${own}/cri.sock`, "--network-plugin", "none"],
          ...["--docker-endpoint", dockerd.endpoint, "--root-directory", `${own}/root`],
          "--restrict-oom-score-adj",
        ],
        ready: (own) => accepts(`${own}/cri.sock`),
      });
      const endpoint = `unix://${service.folder}/cri.sock`;
      const cri = new CrictlCri({ program, endpoint });
      lab.defer("crictl's files", () => cri.close());
      const podSandboxId = await cri.runPod("ports");
      using clients = createClients({ endpoint });
      const { url } = await clients.runtime.portForward({ podSandboxId });
      using ports = await connectPortForward(url);
      // Nothing listens there: that the pod's own network says so needs setns(2), and thus the native part.
      await assert.rejects(text(ports.connect(9)), /ECONNREFUSED/);
      await cri.stopPod(podSandboxId);
      await cri.removePod(podSandboxId);
      await podLife(cri, { engineVersion: dockerd.engine.version, image });
    });
  });

  it("keep the configuration in an upgrade, and leave pods when they are removed", async () => {
    await appendFile("/etc/docker-cri/config.yaml", "logLevel: warn\n");
    const { stdout: upgraded } = await run("dpkg", ["--install", deb]);
    assert.doesNotMatch(upgraded, /not started/);
    assert.match(await readFile("/etc/docker-cri/config.yaml", "utf8"), /^logLevel: warn$/m);
    assert.match((await run("dpkg", ["--remove", "docker-cri"])).stdout, /Pods keep running in Docker/);
    await writeFile("/etc/docker-cri/mine", "");
    assert.match((await run("dpkg", ["--purge", "docker-cri"])).stdout, /were kept/);
    assert.deepEqual(await readdir("/etc/docker-cri"), ["mine"]);
    await rm("/etc/docker-cri", { recursive: true });
    for (const path of installed.map((line) => line.split(" ")[0] ?? ""))
      await assert.rejects(readFile(path), { code: "ENOENT" }, path);
  });
});
