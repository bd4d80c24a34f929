import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ShimError } from "../../../src/base/index.js";
import { thisNode } from "../../../src/cli/doctor/node-facts.js";
import { diagnose } from "../../../src/cli/doctor/index.js";
import type { Finding, NodeFacts, Patient } from "../../../src/cli/doctor/finding.js";
import { isHealthy, jsonReport, textReport } from "../../../src/cli/doctor/report.js";
import { parseServeConfig, type ServeConfigInput } from "../../../src/config/index.js";
import type { DockerInfo } from "../../../src/docker/index.js";
import { createMemoryDocker, MemoryHost, type MemoryDocker } from "../../../src/drivers/memory/index.js";
import type { NetworkStatus } from "../../../src/network/index.js";

const healthyNode: NodeFacts = {
  uid: 0,
  answers: () => Promise.resolve(false),
  isDockerCri: () => Promise.resolve(false),
  mayWrite: () => Promise.resolve(true),
  checkListen: () => Promise.resolve(),
};

interface Illness {
  readonly config?: ServeConfigInput;
  readonly node?: Partial<NodeFacts>;
  readonly network?: NetworkStatus;
  readonly host?: MemoryHost;
  /** Makes the engine ill. */
  readonly engine?: (docker: MemoryDocker) => unknown;
  /** What Docker says of itself. */
  readonly info?: Partial<DockerInfo>;
}

/** The findings of a node that is healthy but for what is said. */
async function findings(illness: Illness = {}): Promise<Finding[]> {
  const config = parseServeConfig({ engine: { kind: "docker" }, ...illness.config }, "test");
  const host = illness.host ?? new MemoryHost();
  host.tree.makeDirectory("/proc/self");
  const docker = createMemoryDocker({ host, images: [config.sandboxImage] });
  await illness.engine?.(docker);
  const info = docker.system.info.bind(docker.system);
  docker.system.info = async (options) => ({ ...(await info(options)), ...illness.info });
  const patient: Patient = {
    config,
    docker,
    host,
    network: () => Promise.resolve(illness.network ?? { ready: true, networkName: "podnet" }),
    node: { ...healthyNode, ...illness.node },
  };
  return diagnose(patient);
}

/** A node whose kernel has AppArmor, with its list of profiles only when some are loaded. */
function withApparmor(profiles = ""): MemoryHost {
  const host = ill({});
  host.tree.makeDirectory("/sys/module/apparmor/parameters");
  host.tree.replace("/sys/module/apparmor/parameters/enabled", "Y\n", 0o444);
  if (profiles !== "") {
    host.tree.makeDirectory("/sys/kernel/security/apparmor");
    host.tree.replace("/sys/kernel/security/apparmor/profiles", profiles, 0o444);
  }
  return host;
}

/** The one finding about a thing. */
async function finding(about: string, illness: Illness): Promise<Finding> {
  const found = (await findings(illness)).filter((one) => one.about === about);
  assert.equal(found.length, 1);
  assert.ok(found[0]);
  return found[0];
}

describe("doctor", () => {
  it("finds nothing wrong with a healthy node", async () => {
    const all = await findings();
    assert.deepEqual(
      all.filter(({ level }) => level !== "ok"),
      [],
    );
    assert.equal(all.length, 14);
    assert.match(textReport(all), /This node is ready\.$/);
  });

  for (const [about, level, illness, found, advice] of [
    ["Docker", "fail", { engine: (docker) => docker.stop() }, /./, /start Docker/],
    [
      "Docker",
      "fail",
      { engine: (docker) => docker.faults.on("system.ping", { error: "permission-denied" }) },
      /./,
      /^run as root$/,
    ],
    [
      "API version",
      "fail",
      { engine: (docker) => docker.faults.on("system.apiVersion", { error: "unsupported" }) },
      /./,
      undefined,
    ],
    [
      "sandbox image",
      "warn",
      { engine: (docker) => docker.images.remove("registry.k8s.io/pause:3.10") },
      /is not present/,
      /docker load/,
    ],
    ["AppArmor", "warn", { host: withApparmor() }, /Docker does not use it/, /apparmor_parser/],
    [
      "AppArmor",
      "warn",
      { host: withApparmor(), info: { securityOptions: ["name=apparmor"] } },
      /cannot read.*ENOENT/,
      /securityfs/,
    ],
    ["user", "fail", { node: { uid: 1000 } }, /uid 1000/, /as root/],
    ["cgroups", "warn", { host: ill({ cgroupVersion: 1 }) }, /version 1/, /failCgroupV1/],
    [
      "oom_score_adj",
      "warn",
      { host: ill({ capBnd: "000001fffeffffff" }) },
      /no CAP_SYS_RESOURCE/,
      /--restrict-oom-score-adj/,
    ],
    [
      "pod network",
      "warn",
      { network: { ready: false, message: "no conflist" } },
      /no conflist/,
      /\/etc\/cni\/net\.d/,
    ],
    [
      "root directory",
      "fail",
      { node: { mayWrite: (path) => Promise.resolve(!path.startsWith("/var/lib")) } },
      /\/var\/lib\/cri-dockerd/,
      /--root-directory/,
    ],
    [
      "socket",
      "fail",
      { node: { mayWrite: (path) => Promise.resolve(!path.startsWith("/run")) } },
      /docker-cri\.sock/,
      /--container-runtime-endpoint/,
    ],
    [
      "socket",
      "warn",
      { node: { answers: (path) => Promise.resolve(path === "/run/docker-cri.sock") } },
      /another process answers on/,
      /stop it/,
    ],
    [
      "socket",
      "fail",
      { node: { checkListen: () => Promise.reject(new ShimError("invalid-argument", "no such group")) } },
      /no such group/,
      undefined,
    ],
    [
      "other shims",
      "warn",
      { node: { answers: (path) => Promise.resolve(path === "/run/cri-dockerd.sock") } },
      /cri-dockerd\.sock/,
      /stop it/,
    ],
    [
      "container logs",
      "fail",
      { config: { logs: { mode: "docker-json", dockerDriver: "local" } } },
      /writes none/,
      /json-file/,
    ],
    ["container logs", "warn", { info: { logDriver: "syslog" } }, /syslog/, /recreate/],
    [
      "user namespace",
      "warn",
      { info: { securityOptions: ["name=seccomp,profile=builtin", "name=userns"] } },
      /userns-remap.*owners/,
      /remove "userns-remap"/,
    ],
    ["cgroup driver", "fail", { info: { cgroupDriver: "none" } }, /rootless/, /as root/],
    [
      "cgroup driver",
      "warn",
      { host: ill({ systemd: true }), info: { cgroupDriver: "cgroupfs" } },
      /two managers/,
      /native\.cgroupdriver=systemd/,
    ],
  ] as readonly (readonly [string, Finding["level"], Illness, RegExp, RegExp | undefined])[]) {
    it(`${about}: a ${level} for ${found.source}`, async () => {
      const one = await finding(about, illness);
      assert.equal(one.level, level);
      assert.match(one.found, found);
      if (advice) assert.match(one.advice ?? "", advice);
    });
  }

  for (const [about, illness] of [
    ["oom_score_adj", { host: ill({ capBnd: "0000000000000000" }), config: { restrictOomScoreAdj: true } }],
    ["pod network", { network: { ready: false }, config: { network: { plugin: "none" } } }],
    [
      "socket",
      { config: { listen: { endpoint: "fd://" } }, node: { mayWrite: () => Promise.resolve(true) } },
    ],
    ["socket", { node: { answers: () => Promise.resolve(true), isDockerCri: () => Promise.resolve(true) } }],
    [
      "other shims",
      {
        config: { listen: { endpoint: "unix:///run/cri-dockerd.sock" } },
        node: { answers: (path) => Promise.resolve(path.startsWith("/run/")) },
      },
    ],
  ] as readonly (readonly [string, Illness])[]) {
    it(`${about}: nothing to say where the configuration takes care of it`, async () => {
      assert.equal((await finding(about, illness)).level, "ok");
    });
  }

  it("accepts AppArmor in use by Docker, and a node without AppArmor", async () => {
    const host = withApparmor("docker-default (enforce)\n");
    const used = await finding("AppArmor", { host, info: { securityOptions: ["name=apparmor"] } });
    assert.deepEqual([used.level, used.found], ["ok", "used by Docker"]);
    assert.equal((await finding("AppArmor", {})).found, "not enabled on this node");
  });

  it("sends no further request to a Docker that does not answer", async () => {
    const all = await findings({ engine: (docker) => docker.stop() });
    assert.deepEqual(
      all.filter(({ level }) => level === "fail").map(({ about }) => about),
      ["Docker"],
    );
    assert.ok(!isHealthy(all));
    assert.match(
      textReport(all),
      /FAIL {2}Docker .*\n +→ start Docker[^]*This node is not ready: 1 failure\.$/,
    );
  });

  it("reports to programs as well", async () => {
    const all = await findings({ node: { uid: 5 } });
    const report = JSON.parse(jsonReport(all)) as { healthy: boolean; findings: Finding[] };
    assert.equal(report.healthy, false);
    assert.deepEqual(report.findings, all);
  });
});

describe("doctor's checks of the node", () => {
  it("refuses to listen where serve would, and makes nothing", async () => {
    const folder = await mkdtemp(join(tmpdir(), "docker-cri-doctor-"));
    try {
      await writeFile(join(folder, "file"), "");
      execFileSync("mkfifo", [join(folder, "pipe")]);
      const free = `unix://${join(folder, "deep", "cri.sock")}`;
      for (const [listen, problem] of [
        [{ endpoint: `unix://${join(folder, "file")}` }, /is not a socket/],
        [{ endpoint: free, socketGroup: "no-such-group" }, /no-such-group/],
        [{ endpoint: "tcp://0.0.0.0:0" }, /client certificates/],
        [{ endpoint: "tcp://127.0.0.1:0", tls: pemFiles(join(folder, "none")) }, /listen\.tls\.certFile/],
        [{ endpoint: "tcp://127.0.0.1:0", tls: pemFiles(join(folder, "file")) }, /no PEM certificate/],
        [{ endpoint: "tcp://127.0.0.1:0", tls: pemFiles(join(folder, "pipe")) }, /pipe.*not a regular file/],
      ] as const) {
        const config = parseServeConfig({ listen }, "test").listen;
        await assert.rejects(thisNode.checkListen(config.endpoint, config), problem);
      }
      const config = parseServeConfig({ listen: { endpoint: free } }, "test").listen;
      await thisNode.checkListen(free, config);
      assert.deepEqual((await readdir(folder)).sort(), ["file", "pipe"]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

function pemFiles(file: string) {
  return { certFile: file, keyFile: file, clientCaFile: file };
}

/** A node with something of its own. */
function ill(what: { cgroupVersion?: 1 | 2; capBnd?: string; systemd?: boolean }): MemoryHost {
  const host = new MemoryHost({ cgroupVersion: what.cgroupVersion ?? 2 });
  host.tree.makeDirectory("/proc/self");
  host.tree.replace("/proc/self/status", `CapBnd:\t${what.capBnd ?? "000001ffffffffff"}\n`, 0o444);
  if (what.systemd) host.tree.makeDirectory("/run/systemd/system");
  return host;
}
