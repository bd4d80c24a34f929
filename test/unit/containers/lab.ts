import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { createClients, type Clients } from "../../../src/client/index.js";
import type { ContainerConfig, ContainerConfigSchema } from "../../../src/gen/runtime/v1/api_pb.js";
import { createTestShim, type TestShim, type TestShimOptions } from "../../../src/testing/index.js";

/** A container's configuration as a caller writes it. */
type ContainerFields = Exclude<MessageInitShape<typeof ContainerConfigSchema>, ContainerConfig>;

export const image = "busybox:1.36";
export const forever = ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"];

/** A shim over memory with a pod, and what it logged. */
export interface Lab extends TestShim {
  readonly runtime: Clients["runtime"];
  readonly pod: string;
  readonly lines: readonly { readonly msg: string }[];
  /** Creates a container. @returns Its id. */
  create(command: readonly string[], more?: ContainerFields): Promise<string>;
  /** Creates and starts one. */
  run(command: readonly string[]): Promise<string>;
}

export const podConfig = { metadata: { name: "pod", namespace: "default", uid: "uid", attempt: 0 } };

export async function openLab(options: TestShimOptions = {}): Promise<Lab> {
  const lines: { msg: string }[] = [];
  const log = pino(
    { level: "debug" },
    { write: (line: string) => lines.push(JSON.parse(line) as { msg: string }) },
  );
  const test = await createTestShim({ images: [image], log, ...options });
  const { runtime } = createClients(test.shim.inProcessTransport());
  const { podSandboxId: pod } = await runtime.runPodSandbox({ config: podConfig });
  let count = 0;
  const create: Lab["create"] = async (command, more = {}) => {
    const config = containerConfig(`c${count++}`, command, more);
    return (await runtime.createContainer({ podSandboxId: pod, sandboxConfig: podConfig, config }))
      .containerId;
  };
  return {
    ...test,
    runtime,
    pod,
    lines,
    create,
    run: async (command) => {
      const containerId = await create(command);
      await runtime.startContainer({ containerId });
      return containerId;
    },
    async [Symbol.asyncDispose]() {
      test.engine.faults.clear();
      await test[Symbol.asyncDispose]();
      await test.engine.close();
    },
  };
}

export function containerConfig(
  name: string,
  command: readonly string[],
  more: ContainerFields = {},
): ContainerFields {
  return { metadata: { name, attempt: 0 }, image: { image }, command: [...command], linux: {}, ...more };
}

/** Asserts that a call fails with a code and a text. */
export async function fails(work: Promise<unknown>, code: Code, text: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof ConnectError, String(error));
    assert.equal(Code[error.code], Code[code], error.message);
    assert.match(error.message, text);
    return true;
  });
}

/** Waits until something holds. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    assert.ok(performance.now() < end, `not within ${withinMs} ms: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
