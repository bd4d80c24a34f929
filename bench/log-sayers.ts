import { open } from "node:fs/promises";
import { join } from "node:path";
import { basicImageNames, run, type Dockerd } from "../test/docker/lab/index.js";

const atOnce = 4;

/** Containers that say 50 lines a second each, while they are let. */
export interface Sayers {
  readonly ids: readonly string[];
  /** Lets the first so many speak. */
  thaw(count: number): void;
  freeze(): void;
}

/** Starts so many containers as kubelet's are, so that a shim takes their logs up; they are frozen. */
export async function startSayers(dockerd: Dockerd, count: number): Promise<Sayers> {
  const started: { id: string; pid: number }[] = [];
  const start = async (n: number) => {
    const path = join(dockerd.folder, `pods/many-${n}/app/0.log`);
    const id = await startContainer(dockerd, `many-${n}`, path, [
      ...[basicImageNames.busybox, "ping", "-i", "0.02", "127.0.0.1"],
    ]);
    const { stdout } = await dockerd.docker(["inspect", "--format", "{{.State.Pid}}", id]);
    process.kill(Number(stdout), "SIGSTOP");
    return { id, pid: Number(stdout) };
  };
  for (let n = 0; n < count; n += atOnce) {
    const few = Array.from({ length: Math.min(atOnce, count - n) }, (_, index) => start(n + index));
    started.push(...(await Promise.all(few)));
  }
  const tell = (signal: NodeJS.Signals, some = started) => {
    for (const { pid } of some) process.kill(pid, signal);
  };
  return {
    ids: started.map(({ id }) => id),
    thaw: (some) => {
      tell("SIGCONT", started.slice(0, some));
    },
    freeze: () => {
      tell("SIGSTOP");
    },
  };
}

const shouting = `BEGIN {
  pad = "x"; for (i = 0; i < 6; i++) pad = pad pad
  getline token < "/control/tokens"
  for (n = 1; n <= lines; n++) print n " " pad substr(pad, 1, n % 32)
  getline token < "/control/tokens"
}`;

/** A container that says all its lines as fast as it can, once it is told to. */
export interface Shouter extends AsyncDisposable {
  readonly id: string;
  begin(): Promise<void>;
}

export async function startShouter(dockerd: Dockerd, name: string, lines: number): Promise<Shouter> {
  const control = join(dockerd.folder, name);
  await run("mkdir", ["-p", control]);
  await run("mkfifo", [join(control, "tokens")]);
  const tokens = await open(join(control, "tokens"), "r+");
  const id = await startContainer(dockerd, name, join(dockerd.folder, `pods/${name}/app/0.log`), [
    ...["--volume", `${control}:/control`, basicImageNames.busybox],
    ...["awk", "-v", `lines=${lines}`, shouting],
  ]);
  return {
    id,
    begin: async () => {
      await tokens.write("go\n");
    },
    [Symbol.asyncDispose]: async () => {
      await tokens.close();
      await dockerd.docker(["rm", "--force", id]);
      await run("rm", ["-rf", join(dockerd.folder, "pods", name)]);
    },
  };
}

async function startContainer(
  dockerd: Dockerd,
  name: string,
  logPath: string,
  more: readonly string[],
): Promise<string> {
  const labels = {
    "io.kubernetes.docker.type": "container",
    "io.kubernetes.container.name": "app",
    "io.kubernetes.container.logpath": logPath,
    "io.kubernetes.sandbox.id": "0".repeat(64),
  };
  const flags = Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
  const { stdout } = await dockerd.docker([
    ...["run", "--detach", "--network", "none", "--name", `k8s_app_${name}_ns_uid-${name}_0`],
    ...["--log-driver", "json-file", "--log-opt", "max-size=2g", ...flags, ...more],
  ]);
  return stdout.trim();
}
