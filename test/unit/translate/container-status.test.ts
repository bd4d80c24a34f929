import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ContainerState, MountPropagation, Signal } from "../../../src/gen/runtime/v1/api_pb.js";
import {
  containerInfo,
  containerState,
  toContainer,
  toContainerStatus,
} from "../../../src/translate/index.js";
import { containerId, dockerContainer, imageId, sandboxId, type StateChanges } from "./docker-container.js";
import { refuses } from "./refuses.js";

const { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED } = ContainerState;
const never = { startedAt: 0n, finishedAt: 0n, exitCode: 0, reason: "", message: "" };
const startError = 'exec: "nope": executable file not found in $PATH';

const states: [name: string, docker: StateChanges, state: ContainerState, outcome: typeof never][] = [
  ["created", {}, CONTAINER_CREATED, never],
  ["created, by a Docker that tells no status", { status: undefined }, CONTAINER_CREATED, never],
  [
    "running",
    { status: "running", running: true, startedAtNanos: 2_000n },
    CONTAINER_RUNNING,
    { ...never, startedAt: 2_000n },
  ],
  [
    "running again, with what is left of the run before",
    {
      status: "running",
      running: true,
      startedAtNanos: 4_000n,
      finishedAtNanos: 3_000n,
      exitCode: 1,
      error: "x",
      oomKilled: true,
    },
    CONTAINER_RUNNING,
    { ...never, startedAt: 4_000n },
  ],
  [
    "paused",
    { status: "paused", running: true, paused: true, startedAtNanos: 2_000n },
    CONTAINER_RUNNING,
    { ...never, startedAt: 2_000n },
  ],
  [
    "restarting",
    { status: "restarting", startedAtNanos: 2_000n },
    CONTAINER_RUNNING,
    { ...never, startedAt: 2_000n },
  ],
  [
    "exited well",
    { status: "exited", startedAtNanos: 2_000n, finishedAtNanos: 3_000n, exitCode: 0 },
    CONTAINER_EXITED,
    { startedAt: 2_000n, finishedAt: 3_000n, exitCode: 0, reason: "Completed", message: "" },
  ],
  [
    "exited badly",
    { status: "exited", startedAtNanos: 2_000n, finishedAtNanos: 3_000n, exitCode: 7, error: "why" },
    CONTAINER_EXITED,
    { startedAt: 2_000n, finishedAt: 3_000n, exitCode: 7, reason: "Error", message: "why" },
  ],
  [
    "killed for memory",
    { status: "exited", startedAtNanos: 2_000n, finishedAtNanos: 3_000n, exitCode: 137, oomKilled: true },
    CONTAINER_EXITED,
    { startedAt: 2_000n, finishedAt: 3_000n, exitCode: 137, reason: "OOMKilled", message: "" },
  ],
  [
    "killed for memory, the code not known yet",
    { status: "exited", startedAtNanos: 2_000n, finishedAtNanos: 3_000n, oomKilled: true },
    CONTAINER_EXITED,
    { startedAt: 2_000n, finishedAt: 3_000n, exitCode: 137, reason: "OOMKilled", message: "" },
  ],
  [
    "exited, the code not known: not a success",
    { status: "exited", startedAtNanos: 2_000n, finishedAtNanos: 3_000n },
    CONTAINER_EXITED,
    {
      startedAt: 2_000n,
      finishedAt: 3_000n,
      exitCode: 255,
      reason: "Error",
      message: "Docker did not report the exit code",
    },
  ],
  [
    "exited, told by a list alone: no time is 0",
    { status: "exited" },
    CONTAINER_EXITED,
    {
      startedAt: 1_000n,
      finishedAt: 1_000n,
      exitCode: 255,
      reason: "Error",
      message: "Docker did not report the exit code",
    },
  ],
  [
    "a start that failed",
    { exitCode: 127, error: startError },
    CONTAINER_EXITED,
    {
      startedAt: 1_000n,
      finishedAt: 1_000n,
      exitCode: 127,
      reason: "ContainerCannotRun",
      message: startError,
    },
  ],
  [
    "a start that failed without a code",
    { exitCode: 0, error: startError },
    CONTAINER_EXITED,
    {
      startedAt: 1_000n,
      finishedAt: 1_000n,
      exitCode: 128,
      reason: "ContainerCannotRun",
      message: startError,
    },
  ],
  [
    "dead",
    { status: "dead", dead: true, startedAtNanos: 2_000n, finishedAtNanos: 3_000n, exitCode: 0 },
    CONTAINER_EXITED,
    { startedAt: 2_000n, finishedAt: 3_000n, exitCode: 0, reason: "Completed", message: "" },
  ],
  [
    "being removed",
    { status: "removing", startedAtNanos: 2_000n, finishedAtNanos: 3_000n, exitCode: 143 },
    CONTAINER_EXITED,
    { startedAt: 2_000n, finishedAt: 3_000n, exitCode: 143, reason: "Error", message: "" },
  ],
];

describe("a container's state", () => {
  for (const [name, state, expected, outcome] of states) {
    it(`is ${ContainerState[expected]} when ${name}`, () => {
      const docker = dockerContainer({ state });
      const { startedAt, finishedAt, exitCode, reason, message, ...status } = toContainerStatus(docker);
      assert.equal(containerState(docker), expected);
      assert.equal(toContainer(docker).state, expected);
      assert.equal(status.state, expected);
      assert.deepEqual({ startedAt, finishedAt, exitCode, reason, message }, outcome);
    });
  }
});

describe("a container's image", () => {
  const image = {
    id: imageId,
    repoTags: ["busybox:1", "busybox:latest"],
    repoDigests: [`busybox@${imageId}`],
  };
  for (const [name, asked, names, expected] of [
    ["the first tag for what was made from an id", imageId, image, "busybox:1"],
    ["the tag it was made with, when that is still one", "busybox:latest", image, "busybox:latest"],
    ["what it was made with, when there is no tag", imageId, { ...image, repoTags: [] }, imageId],
    ["what it was made with, when the image is not known", "nginx:1", undefined, "nginx:1"],
    ["the id, when nothing else is known", "", undefined, imageId],
    [
      "the name it was made with, whatever other names its image has",
      "busybox",
      { ...image, repoTags: ["aaa.example/other:1", "busybox:latest"] },
      "busybox",
    ],
    ["the first tag for what was made from a short id", imageId.slice(7, 19), image, "busybox:1"],
  ] as const) {
    it(`is called by ${name}`, () => {
      const docker = dockerContainer({ config: { image: asked } });
      assert.equal(toContainer(docker, { image: names }).image?.image, expected);
      assert.equal(toContainerStatus(docker, { image: names }).image?.image, expected);
    });
  }

  it("has one id, as reference and as id, in list and status", () => {
    const docker = dockerContainer();
    const listed = toContainer(docker, { image });
    const status = toContainerStatus(docker, { image });
    assert.deepEqual(
      [listed.imageId, listed.imageRef, status.imageId, status.imageRef],
      [imageId, imageId, imageId, imageId],
    );
    assert.equal(toContainerStatus(docker).imageId, imageId);
  });

  it("keeps a reference even when Docker reports no id", () => {
    const { imageId: _, ...docker } = dockerContainer();
    assert.equal(toContainerStatus(docker).imageRef, "nginx:1");
  });
});

describe("toContainer", () => {
  it("reports whose container it is", () => {
    const listed = toContainer(
      dockerContainer({
        config: {
          labels: {
            app: "web",
            "annotation.note": "n",
            "io.kubernetes.docker.type": "container",
            "io.kubernetes.sandbox.id": sandboxId,
          },
        },
      }),
    );
    assert.equal(listed.id, containerId);
    assert.equal(listed.podSandboxId, sandboxId);
    assert.equal(listed.metadata?.name, "nginx");
    assert.equal(listed.metadata.attempt, 7);
    assert.equal(listed.createdAt, 1_000n);
    assert.deepEqual(listed.labels, { app: "web" });
    assert.deepEqual(listed.annotations, { note: "n" });
  });

  it("refuses a name that is not ours", () => {
    refuses("internal", /"friendly_hopper"/, () => toContainer(dockerContainer({ name: "friendly_hopper" })));
  });
});

describe("toContainerStatus", () => {
  it("reports the limits as they are now", () => {
    const status = toContainerStatus(
      dockerContainer({
        host: {
          resources: {
            cpuPeriodMicros: 100_000,
            cpuQuotaMicros: 50_000,
            cpuShares: 512,
            cpusetCpus: "0-1",
            cpusetMems: "0",
            memoryBytes: 64 << 20,
            memorySwapBytes: -1,
            oomScoreAdj: -997,
          },
        },
      }),
    );
    const linux = status.resources?.linux;
    assert.deepEqual(
      { ...linux },
      {
        $typeName: "runtime.v1.LinuxContainerResources",
        cpuPeriod: 100_000n,
        cpuQuota: 50_000n,
        cpuShares: 512n,
        cpusetCpus: "0-1",
        cpusetMems: "0",
        memoryLimitInBytes: 67_108_864n,
        memorySwapLimitInBytes: -1n,
        oomScoreAdj: -997n,
        hugepageLimits: [],
        unified: {},
      },
    );
  });

  it("accepts statistics that are not numbers", () => {
    const status = toContainerStatus(
      dockerContainer({ host: { resources: { memoryBytes: Number.NaN, cpuShares: 1.5 } } }),
    );
    assert.equal(status.resources?.linux?.memoryLimitInBytes, 0n);
    assert.equal(status.resources.linux.cpuShares, 1n);
  });

  for (const [user, groupAdd, expected] of [
    ["1000:2000", ["3000"], { uid: 1000n, gid: 2000n, supplementalGroups: [2000n, 3000n] }],
    ["0:0", undefined, { uid: 0n, gid: 0n, supplementalGroups: [0n] }],
    ["1000", undefined, undefined],
    ["", undefined, undefined],
    ["www-data:33", undefined, undefined],
    ["33:www-data", undefined, undefined],
    ["1000:2000", ["wheel"], undefined],
  ] as const) {
    it(`${expected ? "tells" : "does not guess"} the user of "${user}" with groups ${groupAdd?.join() ?? "none"}`, () => {
      const linux = toContainerStatus(
        dockerContainer({ config: { user }, host: groupAdd ? { groupAdd } : {} }),
      ).user?.linux;
      assert.deepEqual(
        linux && { uid: linux.uid, gid: linux.gid, supplementalGroups: linux.supplementalGroups },
        expected,
      );
    });
  }

  for (const [stopSignal, expected] of [
    [undefined, Signal.SIGTERM],
    ["SIGQUIT", Signal.SIGQUIT],
    ["3", Signal.SIGQUIT],
  ] as const) {
    it(`reports the stop signal of ${stopSignal ?? "an image without one"}`, () => {
      const docker = dockerContainer({ config: stopSignal ? { stopSignal } : {} });
      assert.equal(toContainerStatus(docker).stopSignal, expected);
    });
  }

  it("reports the log path", () => {
    const labels = {
      "io.kubernetes.docker.type": "container",
      "io.kubernetes.container.logpath": "/l/0.log",
    };
    assert.equal(toContainerStatus(dockerContainer({ config: { labels } })).logPath, "/l/0.log");
    assert.equal(toContainerStatus(dockerContainer()).logPath, "");
  });
});

describe("a container's mounts", () => {
  for (const [docker, expected] of [
    [undefined, MountPropagation.PROPAGATION_PRIVATE],
    ["rprivate", MountPropagation.PROPAGATION_PRIVATE],
    ["rslave", MountPropagation.PROPAGATION_HOST_TO_CONTAINER],
    ["slave", MountPropagation.PROPAGATION_HOST_TO_CONTAINER],
    ["rshared", MountPropagation.PROPAGATION_BIDIRECTIONAL],
    ["shared", MountPropagation.PROPAGATION_BIDIRECTIONAL],
  ] as const) {
    it(`report propagation ${docker ?? "unset"} as ${MountPropagation[expected]}`, () => {
      const point = { type: "bind", source: "/s", target: "/t", writable: true };
      const [mount] = toContainerStatus(
        dockerContainer({ mounts: [docker ? { ...point, propagation: docker } : point] }),
      ).mounts;
      assert.equal(mount?.propagation, expected);
    });
  }

  it("report path, read-only and recursive read-only", () => {
    const { mounts } = toContainerStatus(
      dockerContainer({
        host: {
          mounts: [
            { type: "bind", source: "/a", target: "/x", readonly: true, readonlyForceRecursive: true },
            { type: "image", source: "img:1", target: "/i", imageSubpath: "sub" },
          ],
        },
        mounts: [
          { type: "bind", source: "/a", target: "/x", writable: false },
          { type: "image", source: "/var/lib/docker/overlay2/1", target: "/i", writable: false },
          { type: "volume", source: "/var/lib/docker/volumes/v/_data", target: "/v", writable: true },
        ],
      }),
    );
    const told = mounts.map((mount) => ({
      hostPath: mount.hostPath,
      containerPath: mount.containerPath,
      readonly: mount.readonly,
      recursiveReadOnly: mount.recursiveReadOnly,
      image: mount.image?.image,
      imageSubPath: mount.imageSubPath,
    }));
    const plain = { recursiveReadOnly: false, image: undefined, imageSubPath: "" };
    assert.deepEqual(told, [
      { ...plain, hostPath: "/a", containerPath: "/x", readonly: true, recursiveReadOnly: true },
      { ...plain, hostPath: "", containerPath: "/i", readonly: true, image: "img:1", imageSubPath: "sub" },
      { ...plain, hostPath: "/var/lib/docker/volumes/v/_data", containerPath: "/v", readonly: false },
    ]);
  });
});

describe("containerInfo", () => {
  it("is JSON with pid, sandbox and runtime, and without the environment", () => {
    const docker = dockerContainer({ state: { status: "running", running: true, pid: 77 } });
    const inspected = {
      ...docker,
      config: { ...docker.config, env: ["PASSWORD=secret"] },
      host: { runtime: "runc", cgroupParent: "/kubepods/podx", resources: { cpuShares: 5 }, maskedPaths: [] },
      mounts: [{ type: "bind", source: "/h", target: "/c", writable: true }],
    };
    const { info } = containerInfo(inspected, sandboxId);
    const parsed = JSON.parse(info ?? "") as Record<string, unknown>;
    assert.equal(parsed["pid"], 77);
    assert.equal(parsed["sandboxID"], sandboxId);
    assert.equal(parsed["image"], "nginx:1");
    assert.equal(parsed["runtime"], "runc");
    assert.equal(parsed["cgroupParent"], "/kubepods/podx");
    assert.deepEqual(parsed["resources"], { cpuShares: 5 });
    assert.deepEqual(parsed["maskedPaths"], []);
    assert.deepEqual(parsed["mounts"], [{ type: "bind", source: "/h", target: "/c", writable: true }]);
    assert.doesNotMatch(info ?? "", /secret/);
  });
});
