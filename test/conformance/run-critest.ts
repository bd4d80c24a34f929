import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serveUnixSocket } from "../../src/adapters/unix-socket/index.js";
import { createShim } from "../../src/index.js";
import { critest, imageSet, manifestDigest, run, type EngineName, type Lab } from "../docker/lab/index.js";
import { leftOut } from "./left-out.js";
import { serveTls } from "./tls-front.js";

/** One spec's outcome, out of ginkgo's JSON report. */
export interface Spec {
  readonly name: string;
  readonly state: string;
  /** Of a failure or a skip. */
  readonly message: string;
}

interface ReportedSpec {
  ContainerHierarchyTexts: string[] | null;
  LeafNodeText: string;
  LeafNodeType: string;
  State: string;
  Failure?: { Message: string };
}

const registryHosts = ["registry.k8s.io", "k8s.gcr.io", "gcr.io"];

/** The engine that critest judges the shim on. */
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

export type Critest = (part?: CritestPart) => Promise<Spec[]>;

/** Starts a shim over a Docker Engine of its own, with CNI plugins and a registry of the test images, for critest to run against. */
export async function openCritest(lab: Lab, { engine, containerdStore }: CritestEngine): Promise<Critest> {
  const { images } = await imageSet("critest");
  const pulledByDigest = images.find(({ tags }) => tags.some((tag) => tag.includes("/test-image-digest:")));
  assert.ok(pulledByDigest, "the image set has a test-image-digest");
  const program = await critest(manifestDigest(pulledByDigest));
  // First, for dockerd believes for seconds what it has once read in /etc/hosts.
  const registry = await lab.registry({ hosts: registryHosts });
  const dockerd = await lab.dockerd({
    engine,
    liftNegativeOomScore: true,
    insecureRegistries: registryHosts,
    ...(containerdStore ? { containerdStore } : {}),
  });
  for (const image of images) await registry.push(image);
  if (containerdStore) await serveTls(lab, registry, dockerd.folder);
  const confDir = await writeCniConfig(dockerd.folder, lab);
  const shim = await createShim({
    engine: { kind: "docker", endpoint: dockerd.endpoint },
    restrictOomScoreAdj: true,
    rootDirectory: join(dockerd.folder, "shim"),
    logLevel: "error",
    network: {
      plugin: "cni",
      cniConfDir: confDir,
      cniBinDirs: ["/usr/lib/cni"],
      cniCacheDir: join(dockerd.folder, "cni-cache"),
    },
  });
  lab.defer("the shim", () => shim.close());
  await shim.start();
  const path = join(dockerd.folder, "cri.sock");
  const server = await serveUnixSocket(shim, { path });
  lab.defer("the shim's socket", () => server.close());
  return (part = {}) => runCritest(program, path, dockerd.folder, part);
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
      ...(focus ? [`-ginkgo.focus=${focus.source}`] : []),
      ...(webSocket ? overWebSocket : []),
      ...leftOut.map(({ name }) => `-ginkgo.skip=${name}`),
    ],
    { allowFailure: true, timeoutMs: 900_000, logPath: join(folder, "critest.log") },
  );
  const specs = specsOf(await readFile(report, "utf8"));
  return specs.filter(({ name }) => focus?.test(name) ?? true);
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
  const suites = JSON.parse(report) as { SpecReports: ReportedSpec[] }[];
  return suites
    .flatMap(({ SpecReports }) => SpecReports)
    .filter(({ LeafNodeType }) => LeafNodeType === "It")
    .map(({ ContainerHierarchyTexts, LeafNodeText, State, Failure }) => ({
      name: [...(ContainerHierarchyTexts ?? []), LeafNodeText].join(" "),
      state: State,
      message: Failure?.Message ?? "",
    }));
}
