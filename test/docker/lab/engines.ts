import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { bundleEngine } from "./engine-bundle.js";
import { run } from "./command.js";
import { installPackages } from "./packages.js";

/**
 * A Docker Engine that the lab can start. "host" is whatever docker.io the machine's own release has;
 * the others are those of Debian 12, 13 and 14, on any machine.
 */
export type EngineName = "host" | "20.10" | "26.1" | "28";

/** Where an engine's programs are. */
export interface Engine {
  /** What dockerd says it is, such as "26.1.5+dfsg1". */
  readonly version: string;
  readonly dockerd: string;
  /** The command line that belongs to it: an old one cannot talk to every newer engine. */
  readonly docker: string;
  /** PATH under which dockerd finds its containerd, shim and proxy. */
  readonly path: string;
}

const suites = { "20.10": "bookworm", "26.1": "trixie", "28": "forky" } as const;

/**
 * Brings an engine onto this machine: the machine's own when its version is the one asked for, else
 * one unpacked into the lab's cache, which takes about half a minute the first time.
 * @throws CommandError when packages cannot be had; Error when the release now holds another version.
 */
export async function prepareEngine(name: EngineName): Promise<Engine> {
  await installPackages("engine");
  const host = await hostEngine();
  if (name === "host" || host.version.startsWith(`${name}.`)) return host;
  const folder = await bundleEngine(suites[name]);
  const engine = await describe(folder, `${folder}:${process.env["PATH"] ?? ""}`);
  if (!engine.version.startsWith(`${name}.`) && !(name === "28" && Number.parseInt(engine.version) > 28))
    throw new Error(`Debian ${suites[name]} has Docker ${engine.version} now, the lab was asked for ${name}`);
  return engine;
}

async function hostEngine(): Promise<Engine> {
  // A docker command of another origin may come first on PATH: the package's own is meant.
  const folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  const find = async (program: string): Promise<string> => {
    for (const folder of folders) {
      const path = join(folder, program);
      if (
        await access(path, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return path;
    }
    throw new Error(`docker.io is installed, but there is no ${program} in ${folders.join(", ")}`);
  };
  const dockerd = await find("dockerd");
  const path = `${folders.join(":")}:${process.env["PATH"] ?? ""}`;
  return { version: await versionOf(dockerd), dockerd, docker: await find("docker"), path };
}

async function describe(folder: string, path: string): Promise<Engine> {
  const dockerd = join(folder, "dockerd");
  return { version: await versionOf(dockerd), dockerd, docker: join(folder, "docker"), path };
}

async function versionOf(dockerd: string): Promise<string> {
  const { stdout } = await run(dockerd, ["--version"]);
  return /version ([^,\s]+)/.exec(stdout)?.[1] ?? stdout.trim();
}
