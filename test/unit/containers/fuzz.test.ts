import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ConnectError, Code } from "@connectrpc/connect";
import fc from "fast-check";
import {
  ContainerConfigSchema,
  ContainerMetadataSchema,
  ContainerState,
  ImageSpecSchema,
  LinuxContainerResourcesSchema,
  type ContainerConfig,
  type LinuxContainerResources,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { anyMessage } from "../translate/any-message.js";
import { containerConfig, forever, image, openLab, podConfig, type Lab } from "./lab.js";

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/);
const path = fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => `/${words.join("/")}`);
const capability = fc.constantFrom("ALL", "NET_ADMIN", "CAP_CHOWN", "cap_sys_time");

const securityContext = fc.record(
  {
    readonlyRootfs: fc.boolean(),
    noNewPrivs: fc.boolean(),
    runAsUser: fc.bigInt({ min: 0n, max: 65_535n }).map((value) => ({ value })),
    supplementalGroups: fc.array(fc.bigInt({ min: 0n, max: 65_535n }), { maxLength: 3 }),
    capabilities: fc.record({
      addCapabilities: fc.array(capability, { maxLength: 2 }),
      dropCapabilities: fc.array(capability, { maxLength: 2 }),
    }),
    maskedPaths: fc.array(path, { maxLength: 2 }),
  },
  { requiredKeys: [] },
);

const resources = fc.record(
  {
    cpuShares: fc.bigInt({ min: 2n, max: 1024n }),
    memoryLimitInBytes: fc.bigInt({ min: 16n << 20n, max: 1n << 30n }),
    oomScoreAdj: fc.bigInt({ min: 0n, max: 1000n }),
  },
  { requiredKeys: [] },
);

/** Configurations that a kubelet could send. */
const valid = fc.record(
  {
    envs: fc.array(fc.record({ key: word, value: fc.string({ maxLength: 8 }).map(withoutNul) }), {
      maxLength: 3,
    }),
    mounts: fc.uniqueArray(fc.record({ hostPath: path, containerPath: path, readonly: fc.boolean() }), {
      maxLength: 3,
      selector: ({ containerPath }) => containerPath,
    }),
    labels: fc.dictionary(word, word, { maxKeys: 3, noNullPrototype: true }),
    annotations: fc.dictionary(word, word, { maxKeys: 3, noNullPrototype: true }),
    workingDir: path,
    stdin: fc.boolean(),
    tty: fc.boolean(),
    logPath: word,
    linux: fc.record({ securityContext, resources }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);

function withoutNul(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text.replaceAll("\0", ""));
}

/** What an answer of a hostile request may be; INTERNAL would be a bug of ours. */
const refusals: readonly Code[] = [
  Code.InvalidArgument,
  Code.Unimplemented,
  Code.FailedPrecondition,
  Code.NotFound,
  Code.AlreadyExists,
];

/** @returns What the call answers; undefined when it was refused in words. */
async function orRefusal<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    assert.ok(error instanceof ConnectError && refusals.includes(error.code), String(error));
    assert.ok(error.rawMessage.length > 10, error.rawMessage);
    return undefined;
  }
}

async function countContainers({ engine }: Lab): Promise<number> {
  return (await engine.containers.list()).length;
}

describe("random containers", () => {
  it("that are valid are created, started, seen and removed", { timeout: 60_000 }, async () => {
    await using lab = await openLab();
    const { runtime } = lab;
    let count = 0;
    await fc.assert(
      fc.asyncProperty(valid, async (more) => {
        const config = containerConfig(`fuzz${count++}`, forever, more);
        const request = { podSandboxId: lab.pod, sandboxConfig: podConfig, config };
        const { containerId } = await runtime.createContainer(request);
        await runtime.startContainer({ containerId });
        const { status } = await runtime.containerStatus({ containerId });
        assert.equal(status?.state, ContainerState.CONTAINER_RUNNING);
        assert.deepEqual({ ...status.labels }, { ...more.labels });
        assert.deepEqual({ ...status.annotations }, { ...more.annotations });
        assert.deepEqual(
          status.mounts.map(({ containerPath }) => containerPath).sort(),
          (more.mounts ?? []).map(({ containerPath }) => containerPath).sort(),
        );
        await runtime.removeContainer({ containerId });
        assert.equal(await countContainers(lab), 1);
      }),
      { numRuns: 100, includeErrorInReport: true },
    );
    assert.equal(count >= 100, true);
    assert.equal(lab.engine.calls.openStreams("containers.logs"), 0);
  });

  it(
    "that are of any kind are made or refused in words, and leave nothing",
    { timeout: 60_000 },
    async () => {
      await using lab = await openLab();
      const { runtime } = lab;
      let made = 0;
      let refused = 0;
      const configs = anyMessage(ContainerConfigSchema) as fc.Arbitrary<ContainerConfig>;
      await fc.assert(
        fc.asyncProperty(configs, fc.boolean(), async (config, named) => {
          // A name and an image that are right let the rest of a request be reached.
          if (named) {
            config.metadata = create(ContainerMetadataSchema, { name: `any${made + refused}` });
            config.image = create(ImageSpecSchema, { image });
          }
          const request = { podSandboxId: lab.pod, sandboxConfig: podConfig, config };
          const answer = await orRefusal(runtime.createContainer(request));
          if (!answer) refused++;
          else {
            made++;
            const { containerId } = answer;
            await orRefusal(runtime.startContainer({ containerId }));
            assert.ok((await runtime.containerStatus({ containerId })).status);
            await runtime.removeContainer({ containerId });
          }
          assert.equal(await countContainers(lab), 1);
        }),
        { numRuns: 400 },
      );
      assert.ok(made > 20 && refused > 20, `${made} made, ${refused} refused`);
    },
  );

  it("take updates of any kind or refuse them in words", { timeout: 60_000 }, async () => {
    await using lab = await openLab();
    const containerId = await lab.run(forever);
    const limits = anyMessage(LinuxContainerResourcesSchema) as fc.Arbitrary<LinuxContainerResources>;
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(limits, async (linux) => {
        if (await orRefusal(lab.runtime.updateContainerResources({ containerId, linux }))) taken++;
        const { status } = await lab.runtime.containerStatus({ containerId });
        assert.equal(status?.state, ContainerState.CONTAINER_RUNNING);
      }),
      { numRuns: 300 },
    );
    assert.ok(taken > 10, `${taken} taken`);
  });
});
