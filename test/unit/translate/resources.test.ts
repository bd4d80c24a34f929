import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { DockerResources } from "../../../src/docker/index.js";
import { LinuxContainerResourcesSchema } from "../../../src/gen/runtime/v1/api_pb.js";
import { resourcesUpdate, type EngineEnvironment } from "../../../src/translate/index.js";
import { createResources } from "../../../src/translate/resources.js";
import { environment, oldEnvironment } from "./engine-environment.js";
import { refuses } from "./refuses.js";

type Init = MessageInitShape<typeof LinuxContainerResourcesSchema>;
const mib = 1024 * 1024;
const memory = BigInt(64 * mib);
const parent = "/kubepods/podx";
const none = { oomScoreAdj: 0 };

const resources = (init: Init) => create(LinuxContainerResourcesSchema, init);

const creates: [name: string, init: Init, expected: DockerResources, env?: Partial<EngineEnvironment>][] = [
  ["nothing", {}, none],
  [
    "cpu",
    { cpuPeriod: 100_000n, cpuQuota: 50_000n, cpuShares: 512n },
    { ...none, cpuPeriodMicros: 100_000, cpuQuotaMicros: 50_000, cpuShares: 512 },
  ],
  ["a quota without limit", { cpuQuota: -1n }, { ...none, cpuQuotaMicros: -1 }],
  ["shares below the kernel's least", { cpuShares: 1n }, { ...none, cpuShares: 2 }],
  ["shares above the kernel's most", { cpuShares: 1_000_000n }, { ...none, cpuShares: 262_144 }],
  ["cpusets", { cpusetCpus: "0-3,7", cpusetMems: "0" }, { ...none, cpusetCpus: "0-3,7", cpusetMems: "0" }],
  [
    "memory: no swap",
    { memoryLimitInBytes: memory },
    { ...none, memoryBytes: 64 * mib, memorySwapBytes: 64 * mib },
  ],
  [
    "memory and swap",
    { memoryLimitInBytes: memory, memorySwapLimitInBytes: memory * 2n },
    { ...none, memoryBytes: 64 * mib, memorySwapBytes: 128 * mib },
  ],
  [
    "memory and all swap",
    { memoryLimitInBytes: memory, memorySwapLimitInBytes: -1n },
    { ...none, memoryBytes: 64 * mib, memorySwapBytes: -1 },
  ],
  [
    "memory, on a kernel that does not count swap",
    { memoryLimitInBytes: memory, memorySwapLimitInBytes: memory },
    { ...none, memoryBytes: 64 * mib },
    { swapLimitSupported: false },
  ],
  ["all swap without memory", { memorySwapLimitInBytes: -1n }, none],
  ["kubelet's no swap without memory", { unified: { "memory.swap.max": "0" } }, none],
  ["some swap without memory, which is written", { unified: { "memory.swap.max": "1024" } }, none],
  [
    "unified memory, which overrides",
    { memoryLimitInBytes: memory, unified: { "memory.max": "32M" } },
    { ...none, memoryBytes: 32 * mib, memorySwapBytes: 32 * mib },
  ],
  ["unified memory without a limit", { memoryLimitInBytes: memory, unified: { "memory.max": "max" } }, none],
  [
    "a unified count of processes and quota without limit",
    { unified: { "pids.max": "max", "cpu.max": "max" } },
    { ...none, pidsLimit: -1, cpuQuotaMicros: -1 },
  ],
  ["kubelet's all swap without memory", { unified: { "memory.swap.max": "max" } }, none],
  [
    "kubelet's no swap",
    { memoryLimitInBytes: memory, unified: { "memory.swap.max": "0", "memory.oom.group": "1" } },
    { ...none, memoryBytes: 64 * mib, memorySwapBytes: 64 * mib },
  ],
  [
    "kubelet's limited swap",
    { memoryLimitInBytes: memory, unified: { "memory.swap.max": "16M" } },
    { ...none, memoryBytes: 64 * mib, memorySwapBytes: 80 * mib },
  ],
  [
    "kubelet's all swap",
    { memoryLimitInBytes: memory, unified: { "memory.swap.max": "max" } },
    { ...none, memoryBytes: 64 * mib, memorySwapBytes: -1 },
  ],
  [
    "both forms of swap: the field counts",
    {
      memoryLimitInBytes: memory,
      memorySwapLimitInBytes: memory,
      unified: { "memory.swap.max": "1024" },
    },
    { ...none, memoryBytes: 64 * mib, memorySwapBytes: 64 * mib },
  ],
  ["an oom score", { oomScoreAdj: -997n }, { oomScoreAdj: -997 }],
  ["an oom score below the floor", { oomScoreAdj: -997n }, { oomScoreAdj: 0 }, { oomScoreAdjFloor: 0 }],
  ["no oom score below the floor", {}, { oomScoreAdj: 200 }, { oomScoreAdjFloor: 200 }],
  [
    "kubelet's huge pages, which the pod's cgroup holds",
    {
      hugepageLimits: [
        { pageSize: "2MB", limit: 1n << 21n },
        { pageSize: "1GB", limit: 0n },
      ],
    },
    none,
  ],
];

type Refusal = [Parameters<typeof refuses>[0], RegExp, Init, EngineEnvironment?];

/** Refused at create and in an update alike. */
const wrongAnywhere: Refusal[] = [
  ["invalid-argument", /cpu_period/, { cpuPeriod: -1n }],
  ["invalid-argument", /cpu_quota/, { cpuQuota: -2n }],
  ["invalid-argument", /cpu_shares/, { cpuShares: -1n }],
  ["invalid-argument", /cpuset_cpus/, { cpusetCpus: "0\0" }],
  ["invalid-argument", /cpuset_mems/, { cpusetMems: "0\0" }],
  ["invalid-argument", /memory_limit_in_bytes is -1/, { memoryLimitInBytes: -1n }],
  ["invalid-argument", /memory_limit_in_bytes is 46/, { memoryLimitInBytes: 1n << 62n }],
  ["invalid-argument", /memory_swap_limit/, { memorySwapLimitInBytes: -2n }],
  ["invalid-argument", /below the memory limit/, { memoryLimitInBytes: memory, memorySwapLimitInBytes: 1n }],
  ["unsupported", /memory\.hihg/, { unified: { "memory.hihg": "512M" } }],
  ["unsupported", /cgroup v1/, { unified: { "memory.oom.group": "1" } }, oldEnvironment],
  ["invalid-argument", /memory\.oom\.group/, { unified: { "memory.oom.group": "2" } }],
  [
    "invalid-argument",
    /memory\.swap\.max/,
    { memoryLimitInBytes: memory, unified: { "memory.swap.max": "much" } },
  ],
];

describe("createResources", () => {
  for (const [name, init, expected, env] of creates) {
    it(`maps ${name}`, () => {
      assert.deepEqual(createResources(resources(init), environment(env), parent), expected);
    });
  }

  it("takes a container without resources", () => {
    assert.deepEqual(createResources(undefined, environment(), parent), none);
  });

  it("lets unused huge pages pass without a pod's cgroup, and refuses used ones", () => {
    const unused = resources({ hugepageLimits: [{ pageSize: "2MB", limit: 0n }] });
    assert.deepEqual(createResources(unused, environment(), ""), none);
    refuses("unsupported", /hugepage_limits.*2MB.*cgroup_parent/, () =>
      createResources(resources({ hugepageLimits: [{ pageSize: "2MB", limit: 1n }] }), environment(), ""),
    );
  });

  for (const [kind, message, init, env] of wrongAnywhere) {
    it(`refuses ${message.source}`, () => {
      refuses(kind, message, () => createResources(resources(init), env ?? environment(), parent));
    });
  }

  for (const [kind, message, init] of [
    ["unsupported", /needs memory_limit_in_bytes/, { memorySwapLimitInBytes: memory }],
    ["invalid-argument", /oom_score_adj/, { oomScoreAdj: 1001n }],
    ["invalid-argument", /oom_score_adj/, { oomScoreAdj: -1001n }],
  ] as Refusal[]) {
    it(`refuses ${message.source}`, () => {
      refuses(kind, message, () => createResources(resources(init), environment(), parent));
    });
  }
});

describe("resourcesUpdate", () => {
  const noSwap = { memoryBytes: 64 * mib, memorySwapBytes: 64 * mib };
  const someSwap = { memoryBytes: 64 * mib, memorySwapBytes: 128 * mib };
  const allSwap = { memoryBytes: 64 * mib, memorySwapBytes: -1 };
  const grow = { memoryLimitInBytes: BigInt(100 * mib) };
  const updates: [string, Init, DockerResources | undefined, DockerResources, Partial<EngineEnvironment>?][] =
    [
      ["nothing", {}, noSwap, {}],
      [
        "a set of cores alone, as kubelet's CPU manager does",
        { cpusetCpus: "1" },
        noSwap,
        { cpusetCpus: "1" },
      ],
      ["an oom score, which stays", { oomScoreAdj: 500n }, noSwap, {}],
      ["a quota taken away", { cpuQuota: -1n }, noSwap, { cpuQuotaMicros: -1 }],
      ["shares", { cpuShares: 10n }, noSwap, { cpuShares: 10 }],
      [
        "memory of a container without swap",
        grow,
        noSwap,
        { memoryBytes: 100 * mib, memorySwapBytes: 100 * mib },
      ],
      [
        "memory of a container with some swap",
        grow,
        someSwap,
        { memoryBytes: 100 * mib, memorySwapBytes: 128 * mib },
      ],
      [
        "memory beyond a container's memory and swap",
        { memoryLimitInBytes: BigInt(200 * mib) },
        someSwap,
        { memoryBytes: 200 * mib, memorySwapBytes: 200 * mib },
      ],
      ["memory of a container with all swap", grow, allSwap, { memoryBytes: 100 * mib, memorySwapBytes: -1 }],
      [
        "memory of a container that had no limit",
        grow,
        undefined,
        { memoryBytes: 100 * mib, memorySwapBytes: 100 * mib },
      ],
      [
        "memory, where swap is not counted",
        grow,
        noSwap,
        { memoryBytes: 100 * mib },
        { swapLimitSupported: false },
      ],
      ["swap alone", { memorySwapLimitInBytes: memory * 2n }, noSwap, { memorySwapBytes: 128 * mib }],
      [
        "memory and swap",
        { ...grow, memorySwapLimitInBytes: -1n },
        noSwap,
        { memoryBytes: 100 * mib, memorySwapBytes: -1 },
      ],
      [
        "what kubelet sends for a resize",
        {
          ...grow,
          oomScoreAdj: 900n,
          hugepageLimits: [{ pageSize: "2MB", limit: 0n }],
          unified: { "memory.oom.group": "1", "memory.swap.max": "0" },
        },
        someSwap,
        { memoryBytes: 100 * mib, memorySwapBytes: 100 * mib },
      ],
    ];
  for (const [name, init, current, expected, env] of updates) {
    it(`changes ${name}`, () => {
      assert.deepEqual(resourcesUpdate(resources(init), environment(env), current), expected);
    });
  }

  for (const [kind, message, init, env] of wrongAnywhere) {
    it(`refuses ${message.source}`, () => {
      refuses(kind, message, () => resourcesUpdate(resources(init), env ?? environment()));
    });
  }

  for (const [kind, message, init, current] of [
    ["unsupported", /hugepage_limits/, { hugepageLimits: [{ pageSize: "2MB", limit: 1n }] }, noSwap],
    ["invalid-argument", /page_size/, { hugepageLimits: [{ limit: 0n }] }, noSwap],
    ["invalid-argument", /below the memory limit/, { memorySwapLimitInBytes: 1n }, noSwap],
    ["unsupported", /needs a memory limit/, { memorySwapLimitInBytes: memory }, {}],
    ["unsupported", /cannot remove a memory limit/, { unified: { "memory.max": "max" } }, noSwap],
  ] as [Parameters<typeof refuses>[0], RegExp, Init, DockerResources][]) {
    it(`refuses ${message.source}, looking at the limits as they are`, () => {
      refuses(kind, message, () => resourcesUpdate(resources(init), environment(), current));
    });
  }
});
