import { setTimeout as pause } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClients } from "../../../src/client/index.js";
import type { LinuxPodSandboxConfigSchema } from "../../../src/gen/runtime/v1/api_pb.js";
import { createTestShim, type TestShimOptions } from "../../../src/testing/index.js";

export const image = "registry.example.com/app:1";
type LinuxConfig = MessageInitShape<typeof LinuxPodSandboxConfigSchema>;

export const podParent = (uid: string) => `/kubepods/burstable/pod${uid}`;

/** A shim over the memory engine, and short ways to run pods on it. */
export async function statsLab(options: TestShimOptions = {}) {
  const { shim, engine, ...rest } = await createTestShim({ images: [image], ...options });
  const { runtime } = createClients(shim.inProcessTransport());
  const runPod = async (
    name: string,
    containers: readonly string[] = ["app"],
    {
      linux = {},
      memoryLimitInBytes = 0n,
    }: {
      readonly linux?: Exclude<LinuxConfig, { $typeName: string }>;
      readonly memoryLimitInBytes?: bigint;
    } = {},
  ) => {
    const sandboxConfig = {
      metadata: { name, namespace: "default", uid: `uid-${name}`, attempt: 0 },
      labels: { pod: name },
      annotations: { note: "kept" },
      linux: { cgroupParent: podParent(`uid-${name}`), ...linux },
    };
    const { podSandboxId: pod } = await runtime.runPodSandbox({ config: sandboxConfig });
    const ids: string[] = [];
    for (const container of containers) {
      const { containerId } = await runtime.createContainer({
        podSandboxId: pod,
        config: {
          metadata: { name: container },
          image: { image },
          command: ["sleep", "infinity"],
          labels: { app: container },
          annotations: { of: name },
          linux: { resources: { memoryLimitInBytes } },
        },
        sandboxConfig,
      });
      await runtime.startContainer({ containerId });
      ids.push(containerId);
    }
    return { pod, ids };
  };
  return { shim, engine, runtime, runPod, [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose]() };
}

/** Asks until there is an answer, for what the shim measures beside the calls. */
export async function untilKnown<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const untilMs = performance.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > untilMs) throw new Error("not known within 20 s");
    await pause(100);
  }
}
