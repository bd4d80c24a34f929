import { chmod, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { kubernetesProgram } from "../lab/kubernetes-programs.js";
import { run } from "../lab/command.js";
import { imageProgram } from "../lab/tools.js";
import { pauseImage } from "./basic.js";
import { baseTree } from "./critest.js";
import { makeImage, packLayer, type Image, type ImageConfig } from "./image.js";
import { addFile, addProgram, groups, users } from "./trees.js";

const e2e = "registry.k8s.io/e2e-test-images";

/**
 * Makes, in a folder, the images that the node e2e suite of Kubernetes 1.36 pulls in its conformance specs, under the
 * names it pulls them by: agnhost as it is, in a tree of this machine's tools.
 */
export async function nodeE2eImages(folder: string): Promise<Image[]> {
  const tree = join(folder, "base");
  await baseTree(tree, folder);
  for (const program of ["/bin/bash", "/usr/bin/curl"]) await addProgram(tree, program);
  await addMissingApplets(tree);
  const base = await packLayer(tree, folder);
  const make = async (
    names: readonly string[],
    config: ImageConfig,
    fill: (top: string) => Promise<void>,
  ) => {
    const top = join(folder, "top");
    await rm(top, { recursive: true, force: true });
    await mkdir(top);
    await fill(top);
    const tags = names.map((name) => `${e2e}/${name}`);
    return makeImage(tags, [base, await packLayer(top, folder)], config);
  };
  const nothing = () => Promise.resolve();
  const server = { Cmd: ["/usr/sbin/nginx", "-pid-file", "/var/run/nginx.pid", "master process"] };
  return [
    await pauseImage(folder, ["registry.k8s.io/pause:3.10.2"]),
    await make(["agnhost:2.63.0", "agnhost:2.55"], agnhostConfig, fillAgnhost),
    await make(["busybox:1.37.0-1", "ipc-utils:1.4", "glibc-dns-testing:2.0.0"], { Cmd: ["sh"] }, nothing),
    await make(["nginx:1.15-4", "nginx:1.27-0"], server, async (top) => {
      await addFile(top, await imageProgram("webserver"), "usr/sbin/nginx");
    }),
    await make(["nonewprivs:1.4"], { Entrypoint: ["/nnp"] }, async (top) => {
      await addFile(top, await imageProgram("nnp"), "nnp");
      await chmod(join(top, "nnp"), 0o4755);
    }),
    await make(["nonroot:1.5"], { User: "1234", Cmd: ["id", "-u"] }, nothing),
  ];
}

/** What specs call and Debian's busybox lacks: nmeter, for the time with its milliseconds, and UDP in nc. */
async function addMissingApplets(tree: string): Promise<void> {
  await addProgram(tree, "/bin/date", "usr/bin/gnu-date");
  const scripts = {
    nmeter: "#!/bin/sh\nexec gnu-date -u +%T.%3N\n",
    nc: `#!/bin/bash
[[ " $* " == *" -u "* ]] || exec busybox nc "$@"
exec 2>/dev/null 3<>"/dev/udp/\${*: -2:1}/\${*: -1}"
cat >&3
timeout 1 cat <&3
true
`,
  };
  for (const [name, script] of Object.entries(scripts)) {
    const path = join(tree, "bin", name);
    // The applets are links to one file.
    await rm(path, { force: true });
    await writeFile(path, script);
    await chmod(path, 0o755);
  }
}

const agnhostConfig: ImageConfig = {
  Entrypoint: ["/agnhost"],
  Cmd: ["pause"],
  ExposedPorts: { "80/tcp": {}, "8080/tcp": {}, "8081/tcp": {}, "9376/tcp": {}, "5000/tcp": {} },
};

/** Beside the program: a second name that specs of entry points call, a certificate, and the user that has one more group. */
async function fillAgnhost(top: string): Promise<void> {
  await addFile(top, await kubernetesProgram("test/images/agnhost", "1.36"), "agnhost");
  await symlink("agnhost", join(top, "agnhost-2"));
  const [key, certificate] = [join(top, "localhost.key"), join(top, "localhost.crt")];
  const made = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate];
  await run("openssl", ["req", "-x509", ...made, "-days", "3650", "-subj", "/CN=localhost"]);
  await mkdir(join(top, "uploads"));
  await mkdir(join(top, "etc"));
  await writeFile(join(top, "etc/passwd"), `${users}user-defined-in-image:x:1000:1000::/home:/bin/sh\n`);
  const more = "user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n";
  await writeFile(join(top, "etc/group"), `${groups}${more}`);
}
