import { dirname } from "node:path";
import { MemoryHost } from "../../../src/testing/index.js";

/** The container that every node of this file runs, in a pod of the kubelet's. */
export const containerId = "5f0c".padEnd(64, "a1");
const outerId = "0d1e".padEnd(64, "b2");
export const pid = 4242;

/** A node: what its kernel mounts and where it accounts the container. */
export interface Node {
  readonly name: string;
  readonly mountinfo: readonly string[];
  /** Of the container's first process. */
  readonly processCgroup: readonly string[];
  /** Where the figures are, by version and resource; those of the pod are one folder up. */
  readonly folders: {
    readonly v1?: Partial<Record<"cpuacct" | "cpu" | "memory" | "blkio" | "pids", string>>;
    readonly v2?: string;
  };
}

const byCgroupfs = `/kubepods/burstable/pod7a/${containerId}`;
const bySystemd = `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7a.slice/docker-${containerId}.scope`;
const v1 = (id: number, root: string, controllers: string) =>
  `${id} 29 0:${id} ${root} /sys/fs/cgroup/${controllers} rw,nosuid shared:9 - cgroup cgroup rw,${controllers}`;
const separate = ["cpu", "cpuacct", "memory", "blkio", "pids", "cpuset"];
const named = "40 29 0:40 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd";
const v2 = (root: string, mountPoint: string) =>
  `45 29 0:45 ${root} ${mountPoint} rw - cgroup2 cgroup2 rw,nsdelegate`;
const foldersBelow = (mount: (controller: string) => string, path: string) => ({
  cpuacct: mount("cpuacct") + path,
  cpu: mount("cpu") + path,
  memory: mount("memory") + path,
  blkio: mount("blkio") + path,
  pids: mount("pids") + path,
});
const ofSystemd = (controller: string) =>
  `/sys/fs/cgroup/${controller.startsWith("cpu") ? "cpu,cpuacct" : controller}`;
const plain = (controller: string) => `/sys/fs/cgroup/${controller}`;

export const nodes: readonly Node[] = [
  {
    name: "v1, cgroupfs, every controller for itself",
    mountinfo: separate.map((controller, index) => v1(31 + index, "/", controller)),
    processCgroup: separate.map((controller, index) => `${index + 1}:${controller}:${byCgroupfs}`),
    folders: { v1: foldersBelow(plain, byCgroupfs) },
  },
  {
    name: "v1 of systemd",
    mountinfo: [
      ...["cpu,cpuacct", "memory", "blkio", "pids"].map((c, index) => v1(31 + index, "/", c)),
      named,
    ],
    processCgroup: [
      `5:cpu,cpuacct:${bySystemd}`,
      `4:memory:${bySystemd}`,
      `3:blkio:${bySystemd}`,
      `2:pids:${bySystemd}`,
      `1:name=systemd:${bySystemd}`,
    ],
    folders: { v1: foldersBelow(ofSystemd, bySystemd) },
  },
  {
    name: "v1 with an empty hierarchy of v2 beside it, cgroupfs",
    mountinfo: [
      ...separate.map((controller, index) => v1(31 + index, "/", controller)),
      named,
      v2("/", "/sys/fs/cgroup/unified"),
    ],
    processCgroup: [
      ...separate.map((controller, index) => `${index + 1}:${controller}:${byCgroupfs}`),
      `0::${byCgroupfs}`,
    ],
    folders: { v1: foldersBelow(plain, byCgroupfs), v2: `/sys/fs/cgroup/unified${byCgroupfs}` },
  },
  {
    name: "v2, cgroupfs",
    mountinfo: [v2("/", "/sys/fs/cgroup")],
    processCgroup: [`0::${byCgroupfs}`],
    folders: { v2: `/sys/fs/cgroup${byCgroupfs}` },
  },
  {
    name: "v2, systemd",
    mountinfo: [v2("/", "/sys/fs/cgroup")],
    processCgroup: [`0::${bySystemd}`],
    folders: { v2: `/sys/fs/cgroup${bySystemd}` },
  },
  {
    name: "memory in v2, the rest in v1",
    mountinfo: [
      ...["cpu,cpuacct", "blkio", "pids"].map((c, index) => v1(31 + index, "/", c)),
      v2("/", "/sys/fs/cgroup/unified"),
    ],
    processCgroup: [
      `3:cpu,cpuacct:${bySystemd}`,
      `2:blkio:${bySystemd}`,
      `1:pids:${bySystemd}`,
      `0::${bySystemd}`,
    ],
    folders: {
      v1: {
        cpuacct: ofSystemd("cpuacct") + bySystemd,
        cpu: ofSystemd("cpu") + bySystemd,
        blkio: ofSystemd("blkio") + bySystemd,
        pids: ofSystemd("pids") + bySystemd,
      },
      v2: `/sys/fs/cgroup/unified${bySystemd}`,
    },
  },
  {
    name: "Docker in a container of v1, which sees its own part of the hierarchies",
    mountinfo: separate.map((controller, index) => v1(31 + index, `/docker/${outerId}`, controller)),
    processCgroup: separate.map(
      (controller, index) => `${index + 1}:${controller}:/docker/${outerId}${byCgroupfs}`,
    ),
    folders: { v1: foldersBelow(plain, byCgroupfs) },
  },
  {
    name: "Docker in a container of v2 with a cgroup namespace",
    mountinfo: [v2("/", "/sys/fs/cgroup")],
    processCgroup: [`0::${byCgroupfs}`],
    folders: { v2: `/sys/fs/cgroup${byCgroupfs}` },
  },
  {
    name: "a shim in a container that is shown the node's cgroups elsewhere",
    mountinfo: [v2("/", "/sys/fs/cgroup"), v2("/../..", "/node/sys/fs/cgroup")],
    processCgroup: [`0::/../..${byCgroupfs}`],
    folders: { v2: `/node/sys/fs/cgroup${byCgroupfs}` },
  },
  {
    name: "a container whose init system has moved itself into a cgroup below",
    mountinfo: [v2("/", "/sys/fs/cgroup")],
    processCgroup: [`0::${byCgroupfs}/init.scope`],
    folders: { v2: `/sys/fs/cgroup${byCgroupfs}` },
  },
];

/** What the kernel of every node has counted, in its own words. The pod has twice of everything. */
export function makeNode({ mountinfo, processCgroup, folders }: Node): MemoryHost {
  const host = new MemoryHost();
  const write = (path: string, text: string) => {
    host.tree.makeDirectory(dirname(path));
    host.tree.replace(path, text, 0o444);
  };
  write("/proc/self/mountinfo", `${mountinfo.join("\n")}\n`);
  write(`/proc/${pid}/cgroup`, `${processCgroup.join("\n")}\n`);
  write("/proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
  for (const [controller, folder] of Object.entries(folders.v1 ?? {})) {
    write(`${folder}/cgroup.procs`, "4242\n4243\n");
    write(`${dirname(folder)}/cgroup.procs`, "");
    for (const [name, text] of Object.entries(filesOfV1(controller, 1))) write(`${folder}/${name}`, text);
    for (const [name, text] of Object.entries(filesOfV1(controller, 2)))
      write(`${dirname(folder)}/${name}`, text);
  }
  if (folders.v2 === undefined) return host;
  const unifiedIsEmpty = folders.v1?.memory !== undefined;
  const filesOfV2 = unifiedIsEmpty
    ? pressureFiles
    : (times: number) => ({ ...pressureFiles(), ...ownFilesOfV2(times) });
  for (const [name, text] of Object.entries(filesOfV2(1))) write(`${folders.v2}/${name}`, text);
  for (const [name, text] of Object.entries(filesOfV2(2))) write(`${dirname(folders.v2)}/${name}`, text);
  return host;
}

function filesOfV1(controller: string, times: number): Record<string, string> {
  switch (controller) {
    case "cpuacct":
      return {
        "cpuacct.usage": `${5_000_000_000 * times}\n`,
        "cpuacct.stat": `user ${300 * times}\nsystem ${200 * times}\n`,
      };
    case "cpu":
      return {
        "cpu.cfs_quota_us": "50000\n",
        "cpu.stat": "nr_periods 40\nnr_throttled 4\nthrottled_time 2000000000\nnr_bursts 0\nburst_time 0\n",
      };
    case "memory":
      return {
        "memory.usage_in_bytes": `${1000 * times}\n`,
        "memory.limit_in_bytes": times === 1 ? "4000\n" : "9223372036854771712\n",
        "memory.memsw.limit_in_bytes": times === 1 ? "6000\n" : "9223372036854771712\n",
        "memory.stat":
          "cache 1\nrss 2\npgfault 3\npgmajfault 1\ninactive_file 1\n" +
          `total_cache ${500 * times}\ntotal_rss ${400 * times}\ntotal_swap ${50 * times}\n` +
          `total_pgfault ${70 * times}\ntotal_pgmajfault ${7 * times}\ntotal_inactive_file ${300 * times}\n` +
          `dirty 1\ntotal_dirty ${60 * times}\ntotal_writeback ${20 * times}\n` +
          `total_workingset_refault_anon ${8 * times}\ntotal_workingset_refault_file ${9 * times}\n`,
      };
    case "blkio":
      return {
        "blkio.throttle.io_service_bytes_recursive": `8:0 Read ${4096 * times}\n8:0 Write 0\n8:0 Total ${4096 * times}\nTotal ${4096 * times}\n`,
        "blkio.throttle.io_serviced_recursive": `8:0 Read ${2 * times}\n8:0 Write 0\n8:0 Total ${2 * times}\nTotal ${2 * times}\n`,
      };
    default:
      return { "pids.current": `${3 * times}\n`, "pids.max": times === 1 ? "100\n" : "max\n" };
  }
}

function ownFilesOfV2(times: number): Record<string, string> {
  return {
    "cpu.stat":
      `usage_usec ${5_000_000 * times}\nuser_usec ${3_000_000 * times}\nsystem_usec ${2_000_000 * times}\n` +
      "nr_periods 40\nnr_throttled 4\nthrottled_usec 2000000\nnr_bursts 0\nburst_usec 0\n",
    "cpu.max": "50000 100000\n",
    "cgroup.procs": times === 1 ? "4242\n4243\n" : "",
    "cgroup.events": "populated 1\nfrozen 0\n",
    "memory.current": `${1000 * times}\n`,
    "memory.max": times === 1 ? "4000\n" : "max\n",
    "memory.swap.current": `${50 * times}\n`,
    "memory.swap.max": times === 1 ? "2000\n" : "max\n",
    "memory.stat":
      `anon ${400 * times}\nfile ${500 * times}\nfile_dirty ${60 * times}\nfile_writeback ${20 * times}\n` +
      `inactive_file ${300 * times}\npgfault ${70 * times}\npgmajfault ${7 * times}\n` +
      `workingset_refault_anon ${8 * times}\nworkingset_refault_file ${9 * times}\n` +
      `pgscan ${5 * times}\npgsteal ${4 * times}\n`,
    "memory.events": `low 0\nhigh ${3 * times}\nmax ${2 * times}\noom 1\noom_kill 1\n`,
    "io.stat": `8:0 rbytes=${4096 * times} wbytes=0 rios=${2 * times} wios=0 dbytes=0 dios=0\n`,
    "pids.current": `${3 * times}\n`,
    "pids.max": times === 1 ? "100\n" : "max\n",
  };
}

function pressureFiles(): Record<string, string> {
  const text =
    "some avg10=1.50 avg60=0.75 avg300=0.25 total=900\nfull avg10=0.50 avg60=0.25 avg300=0.00 total=400\n";
  return { "cpu.pressure": text, "memory.pressure": text, "io.pressure": text };
}
