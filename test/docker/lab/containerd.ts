import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { accepts } from "./cri-dockerd.js";
import { prepareEngine } from "./engines.js";
import { run } from "./command.js";
import { removeTraces } from "./tidy.js";
import { startService, type Service } from "./service.js";

/** How to start containerd. */
export interface ContainerdOptions {
  /** Image of its pods' sandboxes. */
  readonly pauseImage: string;
  /** Default: an empty folder of its own, with which it runs pods on the host's network alone. */
  readonly cniConfFolder?: string;
  /** Registries spoken to without TLS, beside 127.0.0.0/8. */
  readonly insecureRegistries?: readonly string[];
}

/** A running containerd. */
export interface Containerd {
  /** Such as "2.1.9". */
  readonly version: string;
  readonly service: Service;
  readonly socketPath: string;
  /** The socket as CRI's clients name it: `unix://…`. */
  readonly endpoint: string;
}

/**
 * Starts the containerd of Debian 14 as a CRI runtime, with this machine's runc, and waits until its socket takes
 * connections.
 * @throws CommandError when its packages cannot be had; Error with the end of its log when it does not serve.
 */
export async function startContainerd(options: ContainerdOptions): Promise<Containerd> {
  const engine = await prepareEngine("28");
  const command = join(engine.dockerd, "..", "containerd");
  const { stdout } = await run(command, ["--version"]);
  const service = await startService({
    name: "containerd",
    command,
    args: async (folder) => {
      const file = join(folder, "config.toml");
      await writeFile(file, await config(folder, options));
      return ["--config", file];
    },
    env: { PATH: engine.path },
    ready: async (folder) => await accepts(socketIn(folder)),
  });
  const socketPath = socketIn(service.folder);
  const version = /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? stdout.trim();
  return { version, service, socketPath, endpoint: `unix://${socketPath}` };
}

/** Ends it, its containers and their shims, and removes its mounts and its folder. */
export async function stopContainerd({ service }: Containerd): Promise<void> {
  await service.shutDown();
  await removeTraces({ folder: service.folder });
}

async function config(folder: string, options: ContainerdOptions): Promise<string> {
  const text = JSON.stringify;
  const [cni, hosts] = [options.cniConfFolder ?? join(folder, "cni"), join(folder, "hosts")];
  await mkdir(cni, { recursive: true });
  for (const name of options.insecureRegistries ?? []) {
    await mkdir(join(hosts, name), { recursive: true });
    await writeFile(join(hosts, name, "hosts.toml"), `server = ${text(`http://${name}`)}\n`);
  }
  return `
    version = 3
    root = ${text(join(folder, "root"))}
    state = ${text(join(folder, "state"))}
    [grpc]
      address = ${text(socketIn(folder))}
    [plugins.'io.containerd.cri.v1.runtime']
      restrict_oom_score_adj = true
      disable_apparmor = true
      [plugins.'io.containerd.cri.v1.runtime'.cni]
        conf_dir = ${text(cni)}
        bin_dirs = ["/usr/lib/cni"]
    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = ${text(options.pauseImage)}
    [plugins.'io.containerd.cri.v1.images'.registry]
      config_path = ${options.insecureRegistries ? text(hosts) : '""'}
  `;
}

function socketIn(folder: string): string {
  return join(folder, "containerd.sock");
}
