import { spawn, type ChildProcess } from "node:child_process";
import { createReadStream } from "node:fs";
import { access, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createClients, type Clients } from "../../src/client/index.js";
import { run } from "../docker/lab/command.js";

const root = join(import.meta.dirname, "..", "..");
const socket = "/run/docker-cri.sock";
/** No call may hang; what an emulated node takes for one is no matter. */
const requestTimeoutMs = 600_000;

/** Makes what the tests need: units, two images, a CNI network, an AppArmor profile. */
const setUp = `
set -e
rm -rf /opt/docker-cri && mkdir -p /opt/docker-cri && tar -C /opt/docker-cri -xz
ln -sf /opt/docker-cri/node_modules/.bin/docker-cri /usr/local/bin/docker-cri
systemctl stop docker-cri.socket docker-cri.service 2>/dev/null || true
docker ps -aq | xargs -r docker rm -f >/dev/null
cp /opt/docker-cri/node_modules/docker-cri/packaging/systemd/* /etc/systemd/system/
tree=$(mktemp -d) && mkdir -p $tree/bin $tree/tmp $tree/proc $tree/sys && cp /usr/bin/busybox $tree/bin/
for name in sh sleep cat tail setsid readlink ls dd grep; do ln -sf busybox $tree/bin/$name; done
tar -C $tree -c . | docker import -c 'ENV PATH=/bin' - busybox:1.36 >/dev/null
tar -C $tree -c . | docker import -c 'ENTRYPOINT ["/bin/sleep", "infinity"]' - registry.k8s.io/pause:3.10 >/dev/null
mkdir -p /opt/cni /etc/cni/net.d && [ -e /opt/cni/bin ] || ln -s /usr/lib/cni /opt/cni/bin
[ -n "$(ls /etc/cni/net.d)" ] || echo '{"cniVersion": "0.4.0", "name": "podnet", "plugins": [{"type": "bridge", "bridge": "cni0",
  "isGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "subnet": "10.91.0.0/24"}}]}' >/etc/cni/net.d/10-podnet.conflist
echo 'profile docker-cri-test flags=(attach_disconnected) { file, signal, capability, network, ptrace, mount, umount, }' | apparmor_parser -r
systemctl daemon-reload
systemctl enable --now docker-cri.socket docker-cri.service
`;

/** A node with the packed docker-cri as a systemd service. */
export interface TestNode extends AsyncDisposable {
  readonly cri: Clients;
  /** Runs a shell command as root. @returns Its standard output, without white space around it. */
  sh(command: string): Promise<string>;
  /** Boots the machine anew and waits until docker-cri serves. */
  reboot(): Promise<void>;
}

/**
 * The node that DOCKER_CRI_NODE names, as ssh's arguments (`-p 2222 root@192.0.2.7`), whose containers are removed; else a
 * virtual machine of `vm.sh`, in the folder that DOCKER_CRI_NODE_VM names.
 */
export async function openNode(): Promise<TestNode> {
  const folder = await mkdtemp(join(tmpdir(), "docker-cri-node-"));
  const vm = process.env["DOCKER_CRI_NODE"] === undefined ? vmFolder() : undefined;
  const given = vm === undefined ? (process.env["DOCKER_CRI_NODE"] ?? "") : await vmScript("up", vm);
  const shared = [
    "-o",
    "BatchMode=yes",
    "-o",
    "ControlMaster=auto",
    "-o",
    `ControlPath=${folder}/control`,
    "-o",
    "ControlPersist=yes",
  ];
  const destination = [...shared, ...given.trim().split(/\s+/)];
  const sh: TestNode["sh"] = async (command) => (await run("ssh", [...destination, command])).stdout.trim();
  const archive = await pack(folder);
  await run("ssh", [...destination, setUp], { input: createReadStream(archive) });
  const tunnel = new Tunnel(destination, join(folder, "cri.sock"));
  await tunnel.open();
  return {
    cri: createClients({ endpoint: `unix://${folder}/cri.sock`, requestTimeoutMs }),
    sh,
    async reboot() {
      const before = await sh("cat /proc/sys/kernel/random/boot_id");
      await sh("systemctl reboot").catch(() => undefined);
      await tunnel.close();
      await untilOk(async () => (await sh("cat /proc/sys/kernel/random/boot_id")) !== before, 900_000);
      await untilOk(async () => (await sh("systemctl is-active docker-cri.service")) === "active", 300_000);
      await tunnel.open();
    },
    async [Symbol.asyncDispose]() {
      await tunnel.close();
      await sh(
        "systemctl stop docker-cri.socket docker-cri.service; docker ps -aq | xargs -r docker rm -f",
      ).catch(() => undefined);
      await run("ssh", [...destination, "-O", "exit"], { allowFailure: true });
      if (vm !== undefined) await vmScript("down", vm);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function vmFolder(): string {
  return process.env["DOCKER_CRI_NODE_VM"] ?? join(tmpdir(), "docker-cri-node-vm");
}

async function vmScript(action: "up" | "down", folder: string): Promise<string> {
  const options = { timeoutMs: 3_600_000 };
  return (await run(join(import.meta.dirname, "vm.sh"), [action, folder], options)).stdout;
}

/** The package with what it needs to run, as `npm install` makes it. @returns A tar archive. */
async function pack(folder: string): Promise<string> {
  await run("npm", ["run", "--silent", "build"], { cwd: root });
  await run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], { cwd: root });
  const app = join(folder, "app");
  await mkdir(app);
  await writeFile(join(app, "package.json"), "{}");
  await run("sh", ["-c", "npm install --silent --omit=dev --no-audit --no-fund ../docker-cri-*.tgz"], {
    cwd: app,
  });
  await run("tar", ["-C", app, "-czf", join(folder, "app.tar.gz"), "."]);
  return join(folder, "app.tar.gz");
}

/** docker-cri's socket on the node, as a socket here. */
class Tunnel {
  private child: ChildProcess | undefined;

  constructor(
    private readonly destination: readonly string[],
    private readonly path: string,
  ) {}

  async open(): Promise<void> {
    await rm(this.path, { force: true });
    const options = [
      "-N",
      "-o",
      "ControlPath=none",
      "-o",
      "ServerAliveInterval=30",
      "-L",
      `${this.path}:${socket}`,
    ];
    this.child = spawn("ssh", [...options, ...this.destination], { stdio: "ignore" });
    await untilOk(async () => access(this.path).then(() => true), 60_000);
  }

  async close(): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null) return;
    await new Promise((resolve) => child.once("exit", resolve).kill());
  }
}

/** Waits until something holds; an error counts as not yet. */
export async function untilOk(holds: () => Promise<boolean>, withinMs: number): Promise<void> {
  const end = Date.now() + withinMs;
  for (;;) {
    const found = await holds().catch((error: unknown) => error);
    if (found === true) return;
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${holds.toString()}`, { cause: found });
    await pause(200);
  }
}
