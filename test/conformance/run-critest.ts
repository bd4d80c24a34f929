import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serveUnixSocket } from "../../src/adapters/unix-socket/index.js";
import { createShim } from "../../src/index.js";
import {
  critest,
  imageSet,
  labPath,
  manifestDigest,
  run,
  type Dockerd,
  type EngineName,
  type Lab,
  type Registry,
} from "../docker/lab/index.js";
import { parseGinkgoReport } from "../support/ginkgo.js";
import { serveTls } from "./tls-front.js";

/** One spec's outcome. */
export interface Spec {
  /** Where critest describes it, such as "Streaming". */
  readonly group: string;
  readonly name: string;
  readonly state: string;
  /** Of a failure or a skip. */
  readonly message: string;
}

const registryHosts = ["registry.k8s.io", "k8s.gcr.io", "gcr.io"];

/** The engine that critest judges docker-cri on. */
export interface CritestEngine {
  readonly engine: EngineName;
  readonly containerdStore: boolean;
}

/** What of critest is run. */
export interface CritestPart {
  /** The specs whose full names this matches; all when absent. */
  readonly focus?: RegExp;
  /** Exec, attach and port-forward over WebSocket in place of SPDY. */
  readonly webSocket?: boolean;
}

/** A runtime for critest to run against. */
export interface Critest {
  /** The runtime with its version, and that of its engine. */
  readonly runtime: string;
  readonly run: (part?: CritestPart) => Promise<Spec[]>;
}

/** Starts docker-cri over a Docker Engine of its own, with CNI plugins and a registry of the test images. */
export async function openCritest(lab: Lab, engine: CritestEngine): Promise<Critest> {
  const bench = await openBench(lab);
  const dockerd = await startEngine(lab, bench, engine);
  const cniConfDir = await writeCniConfig(dockerd.folder, lab);
  const shim = await createShim({
    engine: { kind: "docker", endpoint: dockerd.endpoint },
    restrictOomScoreAdj: true,
    rootDirectory: join(dockerd.folder, "shim"),
    logLevel: "error",
    network: {
      plugin: "cni",
      cniConfDir,
      cniBinDirs: ["/usr/lib/cni"],
      cniCacheDir: join(dockerd.folder, "cni-cache"),
    },
  });
  lab.defer("the shim", () => shim.close());
  await shim.start();
  const path = join(dockerd.folder, "cri.sock");
  const server = await serveUnixSocket(shim, { path });
  lab.defer("the shim's socket", () => server.close());
  return critestOf(bench, `docker-cri on ${nameOf(dockerd)}`, path, dockerd.folder);
}

/** Starts cri-dockerd likewise, on Docker 26.1. */
export async function openCriDockerdCritest(lab: Lab): Promise<Critest> {
  const bench = await openBench(lab);
  const dockerd = await startEngine(lab, bench, { engine: "26.1", containerdStore: false });
  const { socketPath } = await lab.criDockerd({
    dockerEndpoint: dockerd.endpoint,
    networkPlugin: "cni",
    cniConfFolder: await writeCniConfig(dockerd.folder, lab),
  });
  return critestOf(bench, `cri-dockerd 0.4.4 on ${nameOf(dockerd)}`, socketPath, dockerd.folder);
}

/** Starts containerd likewise. */
export async function openContainerdCritest(lab: Lab): Promise<Critest> {
  const bench = await openBench(lab);
  const folder = await labPath("critest-containerd");
  lab.defer("the CNI configuration", () => rm(folder, { recursive: true }));
  const { service, socketPath, version } = await lab.containerd({
    pauseImage: "registry.k8s.io/pause:3.10",
    cniConfFolder: await writeCniConfig(folder, lab),
    insecureRegistries: registryHosts,
  });
  return critestOf(bench, `containerd ${version}`, socketPath, service.folder);
}

/** critest, and a registry of the images that it pulls. */
interface Bench {
  readonly program: string;
  readonly registry: Registry;
}

async function openBench(lab: Lab): Promise<Bench> {
  const { images } = await imageSet("critest");
  const pulledByDigest = images.find(({ tags }) => tags.some((tag) => tag.includes("/test-image-digest:")));
  assert.ok(pulledByDigest, "the image set has a test-image-digest");
  const program = await critest(manifestDigest(pulledByDigest));
  // Before the engine, for dockerd believes for seconds what it has once read in /etc/hosts.
  const registry = await lab.registry({ hosts: registryHosts });
  for (const image of images) await registry.push(image);
  return { program, registry };
}

async function startEngine(
  lab: Lab,
  { registry }: Bench,
  { engine, containerdStore }: CritestEngine,
): Promise<Dockerd> {
  const dockerd = await lab.dockerd({
    engine,
    liftNegativeOomScore: true,
    insecureRegistries: registryHosts,
    ...(containerdStore ? { containerdStore } : {}),
  });
  if (containerdStore) await serveTls(lab, registry, dockerd.folder);
  return dockerd;
}

function nameOf({ engine }: Dockerd): string {
  return `Docker ${/[\d.]+/.exec(engine.version)?.[0] ?? engine.version}`;
}

function critestOf({ program }: Bench, runtime: string, socketPath: string, folder: string): Critest {
  return { runtime, run: (part = {}) => runCritest(program, socketPath, folder, part) };
}

async function runCritest(
  program: string,
  socketPath: string,
  folder: string,
  { focus, webSocket = false }: CritestPart,
): Promise<Spec[]> {
  const report = join(folder, "critest.json");
  await rm(report, { force: true });
  const overWebSocket = ["exec", "attach", "portforward"].map((name) => `-websocket-${name}`);
  await run(
    program,
    [
      `-runtime-endpoint=unix://${socketPath}`,
      `-image-endpoint=unix://${socketPath}`,
      `-ginkgo.json-report=${report}`,
      "-ginkgo.no-color",
      // A runtime that hangs has its report all the same.
      "-ginkgo.timeout=14m",
      ...(focus ? [`-ginkgo.focus=${focus.source}`] : []),
      ...(webSocket ? overWebSocket : []),
    ],
    { allowFailure: true, timeoutMs: 900_000, logPath: join(folder, "critest.log") },
  );
  const specs = specsOf(await readFile(report, "utf8"));
  return specs.filter(({ group, name }) => focus?.test(`${group} ${name}`) ?? true);
}

/** A bridge with its plugins, as a node has them; its link goes when the lab closes. */
async function writeCniConfig(folder: string, lab: Lab): Promise<string> {
  const bridge = "dctestcni0";
  const confDir = join(folder, "cni");
  await mkdir(confDir, { recursive: true });
  const ipam = {
    type: "host-local",
    // Not among the lab's bridges (10.213.0.0/16): the node would look for the pods on dockerd's own.
    ranges: [[{ subnet: "10.220.0.0/16" }]],
    routes: [{ dst: "0.0.0.0/0" }],
    dataDir: join(folder, "ipam"),
  };
  const plugins = [
    { type: "bridge", bridge, isGateway: true, ipMasq: true, hairpinMode: true, ipam },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "bandwidth", capabilities: { bandwidth: true } },
  ];
  await writeFile(
    join(confDir, "10-test.conflist"),
    JSON.stringify({ cniVersion: "1.0.0", name: "critest", plugins }),
  );
  lab.defer(`the bridge ${bridge}`, async () => {
    await run("ip", ["link", "delete", bridge], { allowFailure: true });
  });
  return confDir;
}

function specsOf(report: string): Spec[] {
  return parseGinkgoReport(report)
    .filter(({ type }) => type === "It")
    .map(({ containers: [group = "", ...inner], text, state, message }) => ({
      group: group.replace("[k8s.io] ", ""),
      name: [...inner, text].join(" "),
      state,
      message: message === "" && state === "skipped" ? "critest runs it only on request" : message,
    }));
}
