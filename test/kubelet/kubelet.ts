import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  cgroupMounts,
  freePort,
  kubeletProgram,
  removeCgroupTree,
  run,
  type KubeletVersion,
  type Lab,
  type Service,
} from "../docker/lab/index.js";
import { KubeletApi } from "./api.js";
import { namespace, type Manifest } from "./pods.js";

/** What a kubelet of the lab is started with. */
export interface KubeletOptions {
  readonly version: KubeletVersion;
  /** The runtime, as `unix://…`. */
  readonly endpoint: string;
  /** An address of this machine that is not loopback. */
  readonly nodeIp: string;
  /** Folder of everything that is the kubelet's. What is mounted below it is the caller's to unmount. */
  readonly folder: string;
  /** Of `makeCgroup`. */
  readonly cgroupRoot: string;
  /** Laid over KubeletConfiguration. */
  readonly config?: KubeletConfig;
  /** The cluster of its node. Default: none, and its pods are static. */
  readonly cluster?: KubeletCluster;
  /** Laid over the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a kubelet and its API server know each other. */
export interface KubeletCluster {
  readonly kubeconfig: string;
  /** With which the kubelet serves its API. */
  readonly serving: Certificate;
  /** With which `KubeletApi` is let in. */
  readonly client: Certificate;
}

export type KubeletConfig = Readonly<Record<string, unknown>>;

/** The kernel's settings that a kubelet overwrites. */
const sysctls = [
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
];

/** A kubelet without an API server, whose pods are the manifests in a folder. */
export class Kubelet {
  /** Use `startKubelet`. */
  constructor(
    readonly service: Service,
    readonly api: KubeletApi,
    readonly podLogs: string,
    private readonly manifests: string,
    private readonly write: (config: KubeletConfig) => Promise<void>,
  ) {}

  /** Adds a pod, or replaces the one of that name. */
  async add(manifest: Manifest): Promise<void> {
    const path = join(this.manifests, `${manifest.metadata.name}.json`);
    // A name with a dot in front is not read: the kubelet never sees half a file.
    const fresh = join(this.manifests, `.${manifest.metadata.name}`);
    await writeFile(fresh, JSON.stringify(manifest));
    await rename(fresh, path);
  }

  /** Has the kubelet end a pod. */
  async remove(name: string): Promise<void> {
    await rm(join(this.manifests, `${name}.json`));
  }

  /** Starts the kubelet anew, with other settings than at its start. */
  async restart(config: KubeletConfig): Promise<void> {
    await this.service.shutDown();
    await this.write(config);
    await this.service.start();
  }

  /** The errors in the kubelet's log. */
  async complaints(): Promise<string[]> {
    const text = await readFile(this.service.logPath, "utf8");
    return text.split("\n").filter((line) => /^[EF]\d{4} /.test(line));
  }
}

/**
 * Starts a kubelet, and waits until it serves. What it changes on the machine is put back when the lab closes.
 * @throws Error with the end of its log when it does not serve; CommandError when it cannot be built.
 */
export async function startKubelet(lab: Lab, options: KubeletOptions): Promise<Kubelet> {
  const { folder } = options;
  const command = await kubeletProgram(options.version);
  const manifests = join(folder, "manifests");
  const podLogs = join(folder, "pod-logs");
  for (const each of [manifests, podLogs]) await mkdir(each, { recursive: true });
  await keepMachine(lab);
  const { cluster } = options;
  const certificate = cluster?.serving ?? (await makeCertificate(folder));
  const port = await freePort();
  const path = join(folder, "kubelet.json");
  const write = async (config: KubeletConfig) => {
    const base = baseConfig({ ...options, certificate, port, manifests, podLogs });
    await writeFile(path, JSON.stringify({ ...base, ...config }, undefined, 2));
  };
  await write(options.config ?? {});
  const client = cluster?.client ?? certificate;
  const api = new KubeletApi(`https://127.0.0.1:${port}`, await readCertificate(client), client);
  const service = await lab.service({
    name: "kubelet",
    command,
    args: [
      `--config=${path}`,
      `--root-dir=${join(folder, "root")}`,
      `--cert-dir=${join(folder, "pki")}`,
      `--node-ip=${options.nodeIp}`,
      "--hostname-override=node",
      ...(cluster === undefined ? [] : [`--kubeconfig=${cluster.kubeconfig}`]),
      "--v=2",
    ],
    ready: async () => (await api.get("/healthz").catch(() => "")) === "ok",
    readyTimeoutMs: 120_000,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  return new Kubelet(service, api, podLogs, manifests, write);
}

/** The files of a certificate. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** Of the authority that has signed it. */
  readonly caFile: string;
}

async function readCertificate({ caFile, certFile, keyFile }: Certificate) {
  return { ca: await readFile(caFile), cert: await readFile(certFile), key: await readFile(keyFile) };
}

/** One certificate that is the kubelet's, its client's, and the authority of both. */
async function makeCertificate(folder: string): Promise<Certificate> {
  const [certFile, keyFile] = [join(folder, "kubelet-cert.pem"), join(folder, "kubelet-key.pem")];
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", keyFile, "-out", certFile];
  const subject = ["-subj", "/CN=lab", "-addext", "subjectAltName=IP:127.0.0.1"];
  await run("openssl", ["req", "-x509", ...key, "-days", "2", ...subject]);
  return { certFile, keyFile, caFile: certFile };
}

function baseConfig(made: {
  readonly endpoint: string;
  readonly folder: string;
  readonly cgroupRoot: string;
  readonly cluster?: KubeletCluster;
  readonly certificate: Certificate;
  readonly port: number;
  readonly manifests: string;
  readonly podLogs: string;
}): KubeletConfig {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    containerRuntimeEndpoint: made.endpoint,
    staticPodPath: made.manifests,
    podLogsDir: made.podLogs,
    volumePluginDir: join(made.folder, "volume-plugins"),
    address: "127.0.0.1",
    port: made.port,
    healthzPort: 0,
    tlsCertFile: made.certificate.certFile,
    tlsPrivateKeyFile: made.certificate.keyFile,
    authentication: {
      x509: { clientCAFile: made.certificate.caFile },
      anonymous: { enabled: false },
      webhook: { enabled: made.cluster !== undefined },
    },
    authorization: { mode: made.cluster === undefined ? "AlwaysAllow" : "Webhook" },
    cgroupRoot: made.cgroupRoot,
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    makeIPTablesUtilChains: false,
    evictionHard: { "memory.available": "1Mi" },
    containerLogMaxSize: "20Ki",
    containerLogMaxFiles: 4,
    containerLogMonitorInterval: "3s",
  };
}

/**
 * Makes a control group for the pods, in each hierarchy that the machine has. Call it before the engine is started: it is
 * removed after the engine has ended, with what a kubelet left in it.
 */
export async function makeCgroup(lab: Lab): Promise<string> {
  const name = `/dclkubelet${process.pid}`;
  const groups = (await cgroupMounts()).map((mount) => join(mount, name));
  lab.defer("the kubelet's control groups", async () => {
    for (const group of groups) await removeCgroupTree(group);
  });
  for (const group of groups) await mkdir(group, { recursive: true });
  return name;
}

/** Notes the settings of the kernel that a kubelet overwrites, and puts them back at the end. */
export async function keepSysctls(lab: Lab): Promise<void> {
  const before = await Promise.all(
    sysctls.map(async (name) => [`/proc/sys/${name}`, await readFile(`/proc/sys/${name}`, "utf8")] as const),
  );
  lab.defer("the kernel's settings", async () => {
    for (const [path, value] of before) await writeFile(path, value);
  });
}

/** Notes what a kubelet changes on the machine beside its own folder, and puts it back at the end. */
async function keepMachine(lab: Lab): Promise<void> {
  await keepSysctls(lab);
  const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;
  const made: string[] = [];
  for (const path of ["/var/lib/kubelet", "/var/log/containers"]) if (!(await exists(path))) made.push(path);
  lab.defer("the kubelet's traces", async () => {
    const links = "/var/log/containers";
    for (const name of await readdir(links).catch(() => []))
      if (name.includes(`_${namespace}_`)) await rm(join(links, name));
    for (const path of made) await rm(path, { recursive: true, force: true });
  });
}
