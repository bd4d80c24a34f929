import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SandboxRecord } from "../../../src/inventory/index.js";
import { readCpuDetail, readMemoryDetail } from "../../../src/stats/cgroup/index.js";
import { Cgroups } from "../../../src/stats/cgroups.js";
import { Measurer } from "../../../src/stats/measure.js";
import type { CgroupUsage } from "../../../src/stats/usage.js";
import { containerId, makeNode, nodes, pid } from "./nodes.js";

/** As much of a record as is looked at. */
function recordOf(id: string): SandboxRecord {
  const docker = { state: { pid, running: true }, host: { cgroupParent: "/kubepods/burstable/pod7a" } };
  return { kind: "sandbox", id, docker } as unknown as SandboxRecord;
}

function withoutTimes({ cpu, memory, swap, io, processes }: CgroupUsage) {
  const bare = (part: object | undefined) =>
    part && Object.fromEntries(Object.entries(part).filter(([name]) => name !== "readAtNanos"));
  return { cpu: bare(cpu), memory: bare(memory), swap: bare(swap), io: bare(io), processes: bare(processes) };
}

const stalls = {
  some: { totalNanos: 900_000n, avg10: 1.5, avg60: 0.75, avg300: 0.25 },
  full: { totalNanos: 400_000n, avg10: 0.5, avg60: 0.25, avg300: 0 },
};

describe("the cgroup of a container", () => {
  for (const node of nodes) {
    const hasPressure = node.folders.v2 !== undefined;
    const pressure = hasPressure ? { pressure: stalls } : {};
    const isV1 = node.folders.v1?.blkio !== undefined;
    const measure = (host: ReturnType<typeof makeNode>, which: "of" | "ofPod") => {
      const places = new Cgroups(host)[which](recordOf(containerId));
      assert.ok(places, "the cgroup is found");
      const measured = new Measurer(host).measure(places, () => 250_000_000n, { everything: true });
      assert.ok(measured);
      return { places, usage: withoutTimes(measured.usage), memoryStat: measured.memoryStat };
    };

    it(`reports its usage: ${node.name}`, () => {
      const host = makeNode(node);
      const { places, usage } = measure(host, "of");
      assert.ok(places.path.includes(containerId));
      const total = (value: bigint) => (isV1 ? [["Total", value] as const] : [["Discard", 0n] as const]);
      assert.deepEqual(usage, {
        cpu: { usageCoreNanos: 5_000_000_000n, usageNanoCores: 250_000_000n, ...pressure },
        memory: {
          usageBytes: 1000n,
          workingSetBytes: 700n,
          limitBytes: 4000n,
          availableBytes: 3300n,
          rssBytes: 400n,
          pageFaults: 70n,
          majorPageFaults: 7n,
          ...pressure,
        },
        swap: { usageBytes: 50n, availableBytes: 1950n },
        io: {
          devices: [
            {
              major: 8,
              minor: 0,
              bytes: new Map([["Read", 4096n], ["Write", 0n], ...total(4096n)]),
              operations: new Map([["Read", 2n], ["Write", 0n], ...total(2n)]),
            },
          ],
          ...pressure,
        },
        processes: { processes: 2n, threads: 3n, threadLimit: 100n },
      });
      assert.deepEqual(
        readCpuDetail((path) => host.kernel.readNow(path), places),
        {
          hasQuota: true,
          userNanos: 3_000_000_000n,
          systemNanos: 2_000_000_000n,
          periods: 40n,
          throttledPeriods: 4n,
          throttledNanos: 2_000_000_000n,
          burstPeriods: 0n,
          burstNanos: 0n,
        },
      );
    });

    it(`reports what cAdvisor of kubelet 1.37 does of memory: ${node.name}`, () => {
      const host = makeNode(node);
      for (const [which, times] of [["of", 1n] as const, ["ofPod", 2n] as const]) {
        const { places, memoryStat } = measure(host, which);
        assert.ok(places.memory);
        const detail = readMemoryDetail((path) => host.kernel.readNow(path), places.memory, memoryStat);
        // cAdvisor has 0 for what cgroup v1 does not count.
        const ofV2 = (value: bigint) => (node.folders.v1?.memory === undefined ? value * times : 0n);
        const { dirtyFileBytes, writebackFileBytes, anonRefaults, fileRefaults } = detail;
        assert.deepEqual(
          { dirtyFileBytes, writebackFileBytes, anonRefaults, fileRefaults },
          {
            dirtyFileBytes: 60n * times,
            writebackFileBytes: 20n * times,
            anonRefaults: 8n * times,
            fileRefaults: 9n * times,
          },
        );
        const { highEvents, maxEvents, pagesScanned, pagesReclaimed } = detail;
        assert.deepEqual(
          [highEvents, maxEvents, pagesScanned, pagesReclaimed],
          [ofV2(3n), ofV2(2n), ofV2(5n), ofV2(4n)],
        );
      }
    });

    it(`reports the usage of the whole pod: ${node.name}`, () => {
      const { usage } = measure(makeNode(node), "ofPod");
      assert.equal(usage.cpu?.["usageCoreNanos"], 10_000_000_000n);
      assert.equal(usage.memory?.["workingSetBytes"], 1400n);
      assert.equal("limitBytes" in usage.memory, false, "no limit is no figure");
      assert.equal("availableBytes" in usage.memory, false);
      assert.deepEqual(usage.swap, { usageBytes: 100n });
      assert.deepEqual(usage.processes, { processes: 2n, threads: 6n }, "processes are counted below");
    });
  }

  it("is not that of another process that has taken over the pid", () => {
    const host = makeNode(nodes[3]!);
    assert.equal(new Cgroups(host).of(recordOf("77".repeat(32))), undefined);
  });

  it("has a working set of 0, and the rest of its figures, where more file cache is inactive than is used", () => {
    const node = nodes[3]!;
    const host = makeNode(node);
    host.tree.replace(`${node.folders.v2}/memory.stat`, "anon 10\ninactive_file 1001\n", 0o444);
    const places = new Cgroups(host).of(recordOf(containerId))!;
    const measured = new Measurer(host).measure(places, () => undefined, { everything: false });
    assert.equal(measured?.usage.memory?.workingSetBytes, 0n);
    assert.equal(measured.usage.memory.usageBytes, 1000n);
    assert.equal(measured.usage.memory.rssBytes, 10n);
    assert.equal("pageFaults" in measured.usage.memory, false, "what the kernel does not tell is left out");
  });

  it("is undefined once the cgroup is removed", () => {
    const node = nodes[3]!;
    const host = makeNode(node);
    const cgroups = new Cgroups(host);
    const record = recordOf(containerId);
    assert.ok(cgroups.of(record));
    host.tree.removeAll(node.folders.v2!);
    const measured = new Measurer(host).measure(cgroups.of(record)!, () => 1n, { everything: true });
    assert.equal(measured, undefined);
  });

  it("is absent when the cgroup disappears while it is read", () => {
    const node = nodes[3]!;
    for (const left of ["cpu.stat", "memory.current"]) {
      const host = makeNode(node);
      const places = new Cgroups(host).of(recordOf(containerId))!;
      const text = host.tree.read(`${node.folders.v2}/${left}`);
      host.tree.removeAll(node.folders.v2!);
      host.tree.makeDirectory(node.folders.v2!);
      host.tree.replace(`${node.folders.v2}/${left}`, text, 0o444);
      assert.equal(
        new Measurer(host).measure(places, () => 1n, { everything: true }),
        undefined,
        left,
      );
    }
  });

  it("is absent when its files disappear before the cgroup itself, as the kernel removes them", () => {
    for (const [node, resource, file] of [
      [nodes[0]!, "cpu", "cpuacct.usage"],
      [nodes[0]!, "memory", "memory.usage_in_bytes"],
      [nodes[3]!, "memory", "memory.current"],
    ] as const) {
      const host = makeNode(node);
      const places = new Cgroups(host).of(recordOf(containerId))!;
      const folder = places[resource]?.folder;
      host.tree.remove(`${folder}/${file}`);
      if (node === nodes[3]) host.tree.replace(`${folder}/cgroup.events`, "populated 0\nfrozen 0\n", 0o444);
      const measured = new Measurer(host).measure(places, () => 1n, { everything: true });
      assert.equal(measured, undefined, file);
    }
  });

  it("is absent when the process exits while its cgroups are read", () => {
    const node = nodes[2]!;
    const host = makeNode(node);
    const record = recordOf(containerId);
    const path = `/proc/${pid}/cgroup`;
    // The kernel writes line by line, and an exiting process is in the root of each v1 hierarchy.
    const begun = node.processCgroup.map((line) =>
      line.includes("memory") ? line : line.replace(/\/.*/, "/"),
    );
    const gone = node.processCgroup.map((line) => (line.startsWith("0:") ? line : line.replace(/\/.*/, "/")));
    const texts = [begun, gone].map((lines) => `${lines.join("\n")}\n`);
    const readNow = host.kernel.readNow.bind(host.kernel);
    Object.assign(host.kernel, {
      readNow: (file: string) => (file === path ? texts.shift() : readNow(file)),
    });
    assert.equal(new Cgroups(host).of(record), undefined);
    assert.deepEqual(texts, [], "both were read");
  });

  it("ignores values that are not numbers", () => {
    const node = nodes[3]!;
    for (const text of ["", "-1\n", "many\n", "1e9\n", "18446744073709551616\n", "9".repeat(30), "\0\0\0"]) {
      const host = makeNode(node);
      host.tree.replace(`${node.folders.v2}/memory.current`, text, 0o444);
      const places = new Cgroups(host).of(recordOf(containerId))!;
      const measured = new Measurer(host).measure(places, () => undefined, { everything: false });
      assert.equal(measured?.usage.memory, undefined, JSON.stringify(text));
      assert.ok(measured?.usage.cpu);
    }
  });

  it("ignores values that are too large for CRI's messages once they are in its units", () => {
    const node = nodes[3]!;
    const host = makeNode(node);
    const replace = (name: string, text: string) => {
      host.tree.replace(`${node.folders.v2}/${name}`, text, 0o444);
    };
    const most = "18446744073709551615";
    replace("cpu.stat", `usage_usec ${most}\nuser_usec ${most}\n`);
    replace("cpu.pressure", `some avg10=0.00 avg60=0.00 avg300=0.00 total=${most}\n`);
    replace("io.stat", `8:0 rbytes=${"9".repeat(20)} wbytes=${most} rios=-1 wios=\n`);
    const places = new Cgroups(host).of(recordOf(containerId))!;
    const measured = new Measurer(host).measure(places, () => 1n, { everything: true });
    assert.equal(measured?.usage.cpu, undefined);
    const written = new Map([["Write", (1n << 64n) - 1n]]);
    assert.deepEqual(measured?.usage.io?.devices, [
      { major: 8, minor: 0, bytes: written, operations: new Map() },
    ]);
    assert.equal(readCpuDetail((path) => host.kernel.readNow(path), places).userNanos, undefined);
  });

  it("is not that of the whole node where the pod has no cgroup between", () => {
    const host = makeNode({ ...nodes[3]!, processCgroup: [`0::/${containerId}`] });
    assert.equal(new Cgroups(host).ofPod(recordOf(containerId)), undefined);
    assert.ok(new Cgroups(host).of(recordOf(containerId)));
  });

  it("is that of the container, not of the one that it runs itself, with Docker inside", () => {
    const inner = "9e8d".padEnd(64, "c3");
    const host = makeNode({ ...nodes[3]!, processCgroup: [`0::/docker/${containerId}/docker/${inner}`] });
    assert.equal(new Cgroups(host).of(recordOf(containerId))?.path, `/docker/${containerId}`);
    assert.equal(new Cgroups(host).of(recordOf(inner))?.path, `/docker/${containerId}/docker/${inner}`);
  });

  it("is absent when its process has moved to a cgroup of another name, or its cgroup was removed under it", () => {
    for (const path of ["/", "/elsewhere", `/kubepods/${containerId} (deleted)`]) {
      const host = makeNode({ ...nodes[3]!, processCgroup: [`0::${path}`] });
      const places = new Cgroups(host).of(recordOf(containerId));
      const measured = places && new Measurer(host).measure(places, () => 1n, { everything: true });
      assert.equal(measured, undefined, path);
    }
  });
});
