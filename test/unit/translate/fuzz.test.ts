import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ShimError } from "../../../src/base/index.js";
import type { DockerContainer } from "../../../src/docker/index.js";
import {
  ContainerConfigSchema,
  ContainerMetadataSchema,
  ContainerSchema,
  ContainerStatusSchema,
  ImageSchema,
  ImageSpecSchema,
  LinuxContainerResourcesSchema,
  PodSandboxConfigSchema,
  PodSandboxMetadataSchema,
  PodSandboxStatusSchema,
  type ContainerConfig,
  type LinuxContainerResources,
  type PodSandboxConfig,
} from "../../../src/gen/runtime/v1/api_pb.js";
import {
  containerInfo,
  containerSpec,
  readLabels,
  resourcesUpdate,
  sandboxInfo,
  sandboxSpec,
  toContainer,
  toContainerStatus,
  toImage,
  toPodSandboxStatus,
} from "../../../src/translate/index.js";
import { anyMessage } from "./any-message.js";
import { dockerContainer, dockerSandbox, sandboxId } from "./docker-container.js";
import { environment, oldEnvironment } from "./engine-environment.js";

const env = fc.constantFrom(
  environment(),
  environment({ apiVersion: [1, 48], cgroupDriver: "systemd", networkMode: "default" }),
  environment({ security: { seccomp: false, apparmor: false, selinux: true }, oomScoreAdjFloor: 0 }),
  oldEnvironment,
);
const containers = anyMessage(ContainerConfigSchema) as fc.Arbitrary<ContainerConfig>;
const pods = anyMessage(PodSandboxConfigSchema) as fc.Arbitrary<PodSandboxConfig>;
const limits = anyMessage(LinuxContainerResourcesSchema) as fc.Arbitrary<LinuxContainerResources>;
const podMetadata = create(PodSandboxMetadataSchema, { name: "p", namespace: "n", uid: "u" });
const runs = { numRuns: 1_500 };

/** Runs `work`; anything but a ShimError that explains itself fails the test. @returns What it made. */
function orShimError<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ShimError)) throw error;
    assert.ok(["invalid-argument", "unsupported", "internal"].includes(error.kind), error.kind);
    assert.ok(error.message.length > 10, error.message);
    assert.doesNotMatch(error.message, /has no entry in the field table/);
    return undefined;
  }
}

describe("whatever a caller sends", () => {
  it("becomes a container's spec or a ShimError", () => {
    let made = 0;
    fc.assert(
      fc.property(containers, pods, env, fc.boolean(), fc.boolean(), (config, pod, engine, host, valid) => {
        // Names and images that are right let the rest of a request be reached.
        if (valid) {
          config.metadata = create(ContainerMetadataSchema, { name: "c" });
          config.image = create(ImageSpecSchema, { image: "i" });
          pod = create(PodSandboxConfigSchema, { metadata: podMetadata });
        }
        const spec = orShimError(() =>
          containerSpec({
            config,
            sandboxConfig: pod,
            sandboxId,
            sandboxHostNetwork: host,
            env: engine,
            seccompProfile: '{"defaultAction":"SCMP_ACT_ALLOW"}',
            pidTargetId: sandboxId,
          }),
        );
        if (!spec) return;
        made++;
        assert.match(spec.name, /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/);
        assert.equal(readLabels(spec.config.labels ?? {}).kind, "container");
        assert.equal(spec.host.networkMode, `container:${sandboxId}`);
        assert.doesNotThrow(() => JSON.stringify(spec));
      }),
      runs,
    );
    assert.ok(made > runs.numRuns / 20, `only ${made} requests were valid`);
  });

  it("becomes a sandbox's spec or a ShimError", () => {
    let made = 0;
    fc.assert(
      fc.property(
        pods,
        env,
        fc.constantFrom("", "runc", "kata", "x"),
        fc.boolean(),
        (pod, engine, handler, valid) => {
          if (valid) pod.metadata = podMetadata;
          const spec = orShimError(() =>
            sandboxSpec(pod, handler, "pause:1", engine, {
              seccompProfile: '{"defaultAction":"SCMP_ACT_ALLOW"}',
            }),
          );
          if (!spec) return;
          made++;
          assert.match(spec.name, /^k8s_POD_[a-zA-Z0-9_.-]+$/);
          assert.equal(readLabels(spec.config.labels ?? {}).kind, "sandbox");
          assert.doesNotThrow(() => JSON.stringify(spec));
        },
      ),
      runs,
    );
    assert.ok(made > runs.numRuns / 20, `only ${made} requests were valid`);
  });

  it("becomes an update or a ShimError", () => {
    fc.assert(
      fc.property(
        limits,
        env,
        fc.record({ memoryBytes: fc.nat(), memorySwapBytes: fc.integer() }),
        (asked, engine, now) => {
          const update = orShimError(() => resourcesUpdate(asked, engine, now));
          for (const value of Object.values(update ?? {})) {
            assert.ok(typeof value === "string" || Number.isInteger(value), String(value));
          }
        },
      ),
      runs,
    );
  });
});

describe("whatever Docker answers", () => {
  const figure = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0, -1, 137, 2 ** 53, 3_221_225_477));
  const time = fc.option(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), { nil: undefined });
  const text = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom("1:2", "9999999999:1", "rslave", "15"));
  const state = fc.record({
    status: fc.constantFrom("created", "running", "exited", "dead", "removing", "restarting", undefined),
    running: fc.boolean(),
    dead: fc.boolean(),
    oomKilled: fc.boolean(),
    exitCode: fc.option(figure, { nil: undefined }),
    error: fc.option(text, { nil: undefined }),
    startedAtNanos: time,
    finishedAtNanos: time,
  });
  const changes = fc.record({
    state,
    createdAtNanos: time.map((value) => value ?? 0n),
    config: fc.record({ image: text, user: text, stopSignal: text }),
    host: fc.record({
      resources: fc.record({ memoryBytes: figure, cpuShares: figure, oomScoreAdj: figure }),
      groupAdd: fc.array(text, { maxLength: 2 }),
      runtime: text,
    }),
    mounts: fc.array(fc.record({ target: text, source: text, writable: fc.boolean(), propagation: text }), {
      maxLength: 3,
    }),
  });

  it("can be sent on", () => {
    fc.assert(
      fc.property(changes, fc.array(text, { maxLength: 3 }), (each, ips) => {
        const docker: DockerContainer = dockerContainer(each);
        toBinary(ContainerSchema, toContainer(docker));
        toBinary(ContainerStatusSchema, toContainerStatus(docker));
        const sandbox = dockerSandbox(each);
        toBinary(PodSandboxStatusSchema, toPodSandboxStatus(sandbox, { ips }));
        JSON.parse(containerInfo(docker, sandboxId)["info"] ?? "");
        JSON.parse(sandboxInfo(sandbox)["info"] ?? "");
      }),
      runs,
    );
  });

  it("can be sent on as an image", () => {
    fc.assert(
      fc.property(figure, text, fc.array(text, { maxLength: 2 }), (sizeBytes, user, names) => {
        const image = { id: "i", repoTags: names, repoDigests: names, sizeBytes, config: { user } };
        const sent = toBinary(ImageSchema, toImage(image, { pinned: false }));
        assert.ok(sent.length > 0);
      }),
      runs,
    );
  });
});
