/**
 * Runs the node e2e suite in namespaces of its own: `unshare --mount --net --cgroup node --import tsx inside.ts WISH`,
 * where WISH is JSON. The suite's kubelet and API server want fixed ports, /var/lib/kubelet and the root control group.
 */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { imageSet, run, withLab, type Dockerd, type Lab } from "../docker/lab/index.js";
import { openPodNode, serveShim } from "../docker/pods-node.js";

/** What the suite is run with. */
export interface NodeE2eWish {
  /** The paths of the suite's own program, and of those that it is run with. */
  readonly programs: { readonly suite: string; readonly ginkgo: string; readonly kubelet: string };
  /** Where the reports and logs go. */
  readonly folder: string;
  readonly focus: string;
  readonly skip: string;
  readonly processes: number;
  readonly timeoutMinutes: number;
}

const address = "10.218.0.2";
const registryHosts = ["registry.k8s.io"];

/** Gives the mount namespace its own copies of what the suite, a kubelet and the lab write. */
async function hideMachine(folder: string): Promise<void> {
  for (const path of ["/var/lib/kubelet", "/var/log/pods", "/var/log/containers", "/run/docker-cri-lab"]) {
    const own = join(folder, "machine", path);
    await mkdir(own, { recursive: true });
    await mkdir(path, { recursive: true });
    await run("mount", ["--bind", own, path]);
    // The root of a node is shared; Docker wants that of a volume whose mounts are to reach the host.
    await run("mount", ["--make-shared", path]);
  }
  const put = async (path: string, text: string, options?: { readonly allowFailure: boolean }) => {
    const own = join(folder, "machine", basename(path));
    await writeFile(own, text);
    await run("mount", ["--bind", own, path], options);
  };
  await put("/etc/hosts", `127.0.0.1 localhost\n${address} node-e2e\n`);
  // A name that is not there fails at once: nothing listens at that address.
  await put("/etc/resolv.conf", "nameserver 127.0.0.1\n");
  // Where it finds systemd-run, the suite has systemd start its kubelet; systemd does not manage this namespace.
  await put("/usr/bin/systemd-run", "", { allowFailure: true });
  // The lab mounts the hierarchies anew, with the control group of this namespace as their root.
  await run("umount", ["--recursive", "--lazy", "/sys/fs/cgroup"]);
  await run("mount", ["-t", "sysfs", "sysfs", "/sys"]);
}

async function makeNetwork(): Promise<void> {
  await run("ip", ["link", "set", "lo", "up"]);
  await run("ip", ["link", "add", "eth0", "type", "veth", "peer", "name", "outside"]);
  await run("ip", ["addr", "add", `${address}/24`, "dev", "eth0"]);
  for (const link of ["eth0", "outside"]) await run("ip", ["link", "set", link, "up"]);
  await run("ip", ["route", "add", "default", "via", "10.218.0.1"]);
}

/** What differs from the suite's own default is this machine's: its control groups, swap and capabilities. */
const kubeletConfig = {
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  cgroupRoot: "/",
  cgroupDriver: "cgroupfs",
  failCgroupV1: false,
  failSwapOn: false,
  oomScoreAdj: 0,
  serializeImagePulls: false,
  volumeStatsAggPeriod: "10s",
  fileCheckFrequency: "10s",
  podCIDR: "10.100.0.0/24",
  evictionPressureTransitionPeriod: "30s",
  evictionHard: { "memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%" },
};

async function startNode(lab: Lab): Promise<{ readonly dockerd: Dockerd; readonly endpoint: string }> {
  const registry = await lab.registry({ hosts: registryHosts });
  for (const image of (await imageSet("node-e2e")).images) await registry.push(image);
  // The runtime that specs of RuntimeClass name.
  const extraConfig = { runtimes: { "test-handler": { path: "runc" } } };
  const dockerd = await lab.dockerd({
    name: "e2e",
    engine: "26.1",
    insecureRegistries: registryHosts,
    extraConfig,
  });
  await run("iptables", ["-P", "FORWARD", "ACCEPT"]);
  const network = await openPodNode(lab, dockerd, "e2e", 60);
  const shim = await serveShim(lab, network);
  return { dockerd, endpoint: shim.endpoint };
}

async function main(wish: NodeE2eWish): Promise<void> {
  const { folder, programs } = wish;
  await hideMachine(folder);
  await makeNetwork();
  const config = join(folder, "kubelet.yaml");
  await writeFile(config, JSON.stringify(kubeletConfig));
  const bin = join(folder, "bin");
  await mkdir(bin, { recursive: true });
  await symlink(programs.kubelet, join(bin, "kubelet"));
  // Ginkgo knows a compiled suite by the end of its name.
  const compiled = join(bin, "e2e_node.test");
  await symlink(programs.suite, compiled);
  await withLab(async (lab) => {
    const { endpoint } = await startNode(lab);
    const suite = [
      `--k8s-bin-dir=${bin}`,
      `--container-runtime-endpoint=${endpoint}`,
      `--kubelet-config-file=${config}`,
      `--kubelet-flags=--node-ip=${address}`,
      "--node-name=node-e2e",
      // cAdvisor names the containers of containerd and CRI-O alone, so the kubelet reads their stats from docker-cri.
      "--feature-gates=PodAndContainerStatsFromCRI=true",
      "--prepull-images=false",
      `--report-dir=${folder}`,
    ];
    const ginkgo = [
      `--procs=${wish.processes}`,
      `--timeout=${wish.timeoutMinutes}m`,
      "--no-color",
      `--focus=${wish.focus}`,
      `--skip=${wish.skip}`,
      `--output-dir=${folder}`,
      "--json-report=report.json",
      compiled,
      "--",
    ];
    await run(programs.ginkgo, [...ginkgo, ...suite], {
      cwd: folder,
      allowFailure: true,
      timeoutMs: (wish.timeoutMinutes + 5) * 60_000,
      logPath: join(folder, "suite.log"),
    });
  });
}

await main(JSON.parse(process.argv[2] ?? "") as NodeE2eWish);
