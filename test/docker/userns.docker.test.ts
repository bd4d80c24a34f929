import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLab } from "./lab/index.js";
import { openPodNode, podConfig, serveShim, type PodNode, type ServedShim } from "./pods-node.js";

/** Where dockerd remaps root to: `user:group` of daemon.json, and the user's line in /etc/subuid and /etc/subgid. */
const remapped = "nobody:nogroup";
const subordinateIds = "nobody:300000:65536\n";
const wholeMap = /^\s*0\s+0\s+4294967295\s*$/;

const lab = openLab();
after(async () => {
  await lab.close();
});

describe("pods on an engine with userns-remap", { timeout: 300_000 }, () => {
  let node: PodNode;
  let shim: ServedShim;

  before(async () => {
    for (const path of ["/etc/subuid", "/etc/subgid"]) await addIds(path, subordinateIds);
    const extraConfig = { "userns-remap": remapped };
    const dockerd = await lab.dockerd({ name: "userns", extraConfig, liftNegativeOomScore: true });
    const { stdout } = await dockerd.docker(["info", "--format", "{{.SecurityOptions}}"]);
    assert.match(stdout, /name=userns/);
    node = await openPodNode(lab, dockerd, "userns", 64);
    shim = await serveShim(lab, node);
  });

  it("are in the node's user namespace, and may read files of the node's root", async () => {
    const folder = join(node.root, "volume");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(join(folder, "secret"), "root's own", { mode: 0o600 });
    const config = podConfig("plain");
    const { podSandboxId } = await shim.cri.runtime.runPodSandbox({ config });
    const containerId = await start(podSandboxId, config, [{ hostPath: folder, containerPath: "/volume" }]);
    assert.match(await exec(containerId, "cat", "/proc/self/uid_map"), wholeMap);
    assert.equal(await exec(containerId, "cat", "/volume/secret"), "root's own");
    await end(podSandboxId);
  });

  it("may use the node's namespaces, and be privileged", async () => {
    const config = podConfig("host", { hostNetwork: true });
    const { securityContext } = config.linux;
    const namespaceOptions = { network: 2, pid: 2, ipc: 2 };
    const wished = {
      ...config,
      linux: { securityContext: { ...securityContext, namespaceOptions, privileged: true } },
    };
    const { podSandboxId } = await shim.cri.runtime.runPodSandbox({ config: wished });
    const containerId = await start(podSandboxId, wished, [], { namespaceOptions, privileged: true });
    assert.match(await exec(containerId, "cat", "/proc/self/uid_map"), wholeMap);
    assert.match(await exec(containerId, "cat", "/proc/net/dev"), /dctuserns0|eth0/);
    await end(podSandboxId);
  });

  async function start(
    podSandboxId: string,
    sandboxConfig: ReturnType<typeof podConfig>,
    mounts: { hostPath: string; containerPath: string }[],
    securityContext: object = {},
  ): Promise<string> {
    const { containerId } = await shim.cri.runtime.createContainer({
      podSandboxId,
      sandboxConfig,
      config: {
        metadata: { name: "main" },
        image: { image: "busybox:1.36" },
        command: ["sleep", "600"],
        mounts,
        linux: { securityContext },
      },
    });
    await shim.cri.runtime.startContainer({ containerId });
    return containerId;
  }

  async function exec(containerId: string, ...cmd: string[]): Promise<string> {
    const { stdout, exitCode } = await shim.cri.runtime.execSync({ containerId, cmd, timeout: 10n });
    assert.equal(exitCode, 0);
    return Buffer.from(stdout).toString();
  }

  async function end(podSandboxId: string): Promise<void> {
    await shim.cri.runtime.stopPodSandbox({ podSandboxId });
    await shim.cri.runtime.removePodSandbox({ podSandboxId });
  }
});

/** Adds a line to a file of subordinate ids until the lab closes. */
async function addIds(path: string, line: string): Promise<void> {
  const before = await readFile(path, "utf8").catch(() => "");
  if (before.includes(line)) return;
  await writeFile(path, before + line);
  lab.defer(path, async () => {
    await writeFile(path, (await readFile(path, "utf8")).replace(line, ""));
  });
}
