import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createBridge, type Bridge } from "./bridge.js";
import { mountCgroups } from "./cgroups.js";
import { run, type CommandOptions, type CommandResult } from "./command.js";
import { engineStatus } from "./engine-http.js";
import { prepareEngine, type Engine, type EngineName } from "./engines.js";
import { noteFirewall, whileFirewallIsOurs } from "./iptables.js";
import {
  allProcesses,
  endProcess,
  isAlive,
  logTail,
  residentBytes,
  signal,
  startDaemon,
  threadsCpuSeconds,
  ticksPerSecond,
  waitForExit,
  waitUntil,
  type Daemon,
  type ProcessInfo,
} from "./processes.js";
import { claimRunFolder, noteProcess, sweep } from "./run-folder.js";
import { writeLiftingRunc } from "./runc-wrapper.js";
import { killContainerProcesses, removeTraces } from "./tidy.js";

/** How to start a Docker Engine. */
export interface DockerdOptions {
  /** Default: "20.10". */
  readonly engine?: EngineName;
  /** A word for log lines and folder names. Default: "dockerd". */
  readonly name?: string;
  /** Keep images in containerd's store instead of Docker's own. Engines from 26.1 on. */
  readonly containerdStore?: boolean;
  /** Containers outlive dockerd. Default: false. */
  readonly liveRestore?: boolean;
  /**
   * Make a runtime the default that spares containers what takes CAP_SYS_RESOURCE, where the machine does
   * not give it: negative OOM scores are lifted, and the capability is left out of privileged containers'.
   */
  readonly liftNegativeOomScore?: boolean;
  /** Let dockerd write firewall rules, as it does on a real node. Default: true. */
  readonly iptables?: boolean;
  /** Registries spoken to without TLS, beside 127.0.0.0/8. */
  readonly insecureRegistries?: readonly string[];
  /** Registries asked in place of Docker Hub, as URLs. */
  readonly registryMirrors?: readonly string[];
  /** More of daemon.json, laid over the lab's own. */
  readonly extraConfig?: Readonly<Record<string, unknown>>;
  /** Laid over the daemon's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

type DaemonConfig = Record<string, unknown>;

const bridgePrefix = "dcl";

/**
 * Starts a Docker Engine of its own: socket, data-root, exec-root and bridge are nobody else's, so that
 * several run beside each other and beside the machine's. Answers once it serves.
 * @throws Error with the end of its log when it does not serve within a minute.
 */
export async function startDockerd(options: DockerdOptions = {}): Promise<Dockerd> {
  await sweep();
  const engine = await prepareEngine(options.engine ?? "20.10");
  await mountCgroups();
  const name = options.name ?? "dockerd";
  const { folder, id } = await claimRunFolder(name, bridgePrefix);
  if (options.iptables !== false) await noteFirewall();
  const bridge = await createBridge(`${bridgePrefix}${id}`);
  const config = await daemonConfig(folder, bridge, options);
  const dockerd = new Dockerd(name, engine, folder, bridge, config, options.env ?? {});
  try {
    await dockerd.start();
  } catch (error) {
    await dockerd.stop();
    throw error;
  }
  return dockerd;
}

async function daemonConfig(folder: string, bridge: Bridge, options: DockerdOptions): Promise<DaemonConfig> {
  const lifting = options.liftNegativeOomScore === true ? await writeLiftingRunc() : undefined;
  return {
    hosts: [`unix://${join(folder, "docker.sock")}`],
    "data-root": join(folder, "data"),
    "exec-root": join(folder, "exec"),
    pidfile: join(folder, "dockerd.pid"),
    bridge: bridge.name,
    "default-address-pools": [{ base: bridge.networkPool, size: 28 }],
    iptables: options.iptables !== false,
    ip6tables: false,
    "live-restore": options.liveRestore === true,
    "shutdown-timeout": 5,
    ...(options.containerdStore === undefined
      ? {}
      : { features: { "containerd-snapshotter": options.containerdStore } }),
    ...(lifting === undefined
      ? {}
      : { runtimes: { "lifts-oom-score": { path: lifting } }, "default-runtime": "lifts-oom-score" }),
    "insecure-registries": options.insecureRegistries ?? [],
    "registry-mirrors": options.registryMirrors ?? [],
    ...options.extraConfig,
  };
}

/** A Docker Engine of the lab. */
export class Dockerd {
  readonly socketPath: string;
  /** The socket as Docker's clients name it: `unix://…`. */
  readonly endpoint: string;
  readonly dataRoot: string;
  readonly logPath: string;
  readonly #configPath: string;
  #daemon: Daemon | undefined;

  /** Use `startDockerd`. */
  constructor(
    readonly name: string,
    readonly engine: Engine,
    readonly folder: string,
    readonly bridge: Bridge,
    readonly config: DaemonConfig,
    private readonly env: Readonly<Record<string, string>>,
  ) {
    this.socketPath = join(folder, "docker.sock");
    this.endpoint = `unix://${this.socketPath}`;
    this.dataRoot = join(folder, "data");
    this.logPath = join(folder, "dockerd.log");
    this.#configPath = join(folder, "daemon.json");
  }

  /** dockerd's process id, 0 while it is not running. */
  get pid(): number {
    return this.#daemon !== undefined && isAlive(this.#daemon) ? this.#daemon.pid : 0;
  }

  /** Starts dockerd, after `kill` or `shutDown`, and waits until it serves. @throws Error when it does not. */
  async start(): Promise<void> {
    if (this.pid !== 0) return;
    // After a kill these name processes that are gone, wait for process 1 to bury them, or are others by now.
    for (const file of ["dockerd.pid", "exec/containerd/containerd.pid"])
      await rm(join(this.folder, file), { force: true });
    await this.#writeConfig();
    if (this.config["iptables"] === false) await this.#startProcess();
    else
      await whileFirewallIsOurs(async () => {
        await this.#startProcess();
      });
  }

  /**
   * Runs the docker command line against this engine.
   * @throws CommandError when it fails, unless `allowFailure` is set.
   */
  async docker(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const config = join(this.folder, "client");
    await mkdir(config, { recursive: true });
    return await run(this.engine.docker, ["--host", this.endpoint, ...args], {
      ...options,
      env: {
        DOCKER_CONFIG: config,
        DOCKER_HOST: "",
        DOCKER_CONTEXT: "",
        DOCKER_API_VERSION: "",
        ...options.env,
      },
    });
  }

  /** Seconds of CPU that dockerd and its containerd have used since dockerd was last started. */
  async cpuSeconds(): Promise<number> {
    return (await this.#own()).reduce((sum, each) => sum + each.cpuTicks, 0) / ticksPerSecond;
  }

  /** The same without rounding to ticks. Threads that end are lost from it, which they do where containers are started. */
  async exactCpuSeconds(): Promise<number> {
    return (await this.#own()).reduce((sum, { pid }) => sum + threadsCpuSeconds(pid), 0);
  }

  /** Resident memory of dockerd and its containerd, in bytes. */
  async rssBytes(): Promise<number> {
    const sizes = await Promise.all((await this.#own()).map(async ({ pid }) => await residentBytes(pid)));
    return sizes.reduce((sum, each) => sum + each, 0);
  }

  /** Freezes dockerd: connections open and then nothing answers. */
  pause(): void {
    if (this.#daemon !== undefined) signal(this.#daemon, "SIGSTOP");
  }

  /** Lets a frozen dockerd go on. */
  resume(): void {
    if (this.#daemon !== undefined) signal(this.#daemon, "SIGCONT");
  }

  /** Kills dockerd with SIGKILL, and its containerd with it; containers and their shims go on. */
  async kill(): Promise<void> {
    const own = await this.#own();
    for (const each of own) signal(each, "SIGKILL");
    await Promise.all(own.map(async (each) => await waitForExit(each, 10_000)));
  }

  /** Ends dockerd with SIGTERM. Containers are stopped first, unless live-restore is on. */
  async shutDown(): Promise<void> {
    if (this.#daemon !== undefined) await endProcess(this.#daemon, 60_000);
  }

  /**
   * Ends dockerd and starts it again. With `keepContainers` they run on meanwhile (live-restore is
   * switched on for it); without, they are stopped.
   * @throws Error when it does not serve again.
   */
  async restart(options: { readonly keepContainers?: boolean } = {}): Promise<void> {
    const before = this.config["live-restore"];
    this.config["live-restore"] = options.keepContainers === true;
    if (before !== this.config["live-restore"]) await this.#reload();
    await this.shutDown();
    await this.start();
  }

  /**
   * Ends the engine with all its containers and removes every trace: processes, mounts, bridge, firewall
   * rules, folder. May be called again.
   */
  async stop(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon !== undefined) {
      signal(daemon, "SIGCONT");
      signal(daemon, "SIGTERM");
      // Its containers are killed meanwhile: asked politely, each shell that is process 1 takes its whole grace.
      await waitUntil(
        async () => {
          await killContainerProcesses(this.folder);
          return !isAlive(daemon);
        },
        20_000,
        100,
      );
      signal(daemon, "SIGKILL");
      await waitForExit(daemon, 5000);
    }
    await removeTraces({ folder: this.folder, bridge: this.bridge.name });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #startProcess(): Promise<void> {
    const daemon = await startDaemon(this.engine.dockerd, ["--config-file", this.#configPath], {
      logPath: this.logPath,
      env: { PATH: this.engine.path, ...this.env },
    });
    this.#daemon = daemon;
    await noteProcess(this.folder, daemon);
    const serves = await waitUntil(
      async () => !isAlive(daemon) || (await engineStatus(this.socketPath, "/_ping")) === 200,
      60_000,
    );
    if (!serves || !isAlive(daemon))
      throw new Error(
        `dockerd "${this.name}" does not serve: ${this.logPath}\n${await logTail(this.logPath)}`,
      );
  }

  async #own(): Promise<ProcessInfo[]> {
    const pid = this.pid;
    if (pid === 0) return [];
    return (await allProcesses()).filter(
      (each) => each.pid === pid || (each.parentPid === pid && each.name === "containerd"),
    );
  }

  async #writeConfig(): Promise<void> {
    await writeFile(this.#configPath, JSON.stringify(this.config, undefined, 2));
  }

  /** Has dockerd read its changed configuration, and waits until it says so. */
  async #reload(): Promise<void> {
    await this.#writeConfig();
    if (this.#daemon === undefined || this.pid === 0) return;
    signal(this.#daemon, "SIGHUP");
    const wanted = String(this.config["live-restore"]);
    const done = await waitUntil(async () => {
      const { stdout } = await this.docker(["info", "--format", "{{.LiveRestoreEnabled}}"], {
        allowFailure: true,
      });
      return stdout.trim() === wanted;
    }, 10_000);
    if (!done) throw new Error(`dockerd "${this.name}" did not take its new configuration: ${this.logPath}`);
  }
}
