import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { createClients, type Clients } from "../../../src/client/index.js";
import { Streaming } from "../../../src/streaming/index.js";
import {
  createTestShim,
  type ContainerProcess,
  type MemoryDocker,
  type Program,
  type TestShimOptions,
} from "../../../src/testing/index.js";
import type { Shim } from "../../../src/index.js";

/** A pod with a container, over an engine in memory. */
export interface StreamingWorld extends AsyncDisposable {
  readonly shim: Shim;
  readonly engine: MemoryDocker;
  readonly runtime: Clients["runtime"];
  readonly podId: string;
  readonly containerId: string;
  /** Starts a further container, which runs `main`. */
  start(
    main: Program,
    config?: { readonly stdin?: boolean; readonly stdinOnce?: boolean; readonly tty?: boolean },
  ): Promise<string>;
  execUrl(command: readonly string[], streams?: Partial<Wanted>): Promise<string>;
  attachUrl(containerId: string, streams?: Partial<Wanted>): Promise<string>;
  portForwardUrl(ports?: readonly number[]): Promise<string>;
}

interface Wanted {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

const pod = {
  metadata: { name: "pod", namespace: "default", uid: "uid-1" },
  logDirectory: "/var/log/pods/pod",
};

/** Waits until something holds, for 20 s. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, `not within 20 s: ${holds.toString()}`);
    await delay(5);
  }
}

/** Waits until no exec, stream or note of a session is left. */
export async function untilNothingIsLeft({ engine, containerId }: StreamingWorld): Promise<void> {
  const notes = "/var/lib/cri-dockerd/streaming/execs";
  await until(async () => (await engine.host.files.list(notes)).length === 0);
  await until(async () => (await engine.containers.inspect(containerId)).execIds.length === 0);
  await until(() => engine.calls.openStreams("execs.start") === 0);
}

/** Waits until no session is left either, and no connection to Docker for an attach with a stdin. */
export async function nothingIsLeft(world: StreamingWorld): Promise<void> {
  const streaming = world.shim.resolve(Streaming);
  await until(() => streaming.openSessions === 0);
  await untilNothingIsLeft(world);
  await until(() => world.engine.calls.openStreams("containers.attach") === 0);
}

/** @param programs What the container can run, by name. */
export async function streamingWorld(
  programs: Readonly<Record<string, Program>> = {},
  options: TestShimOptions = {},
): Promise<StreamingWorld> {
  const mains: Program[] = [];
  const image = {
    name: "test:1",
    programs: {
      "/bin/main": (process: ContainerProcess) => mains[Number(process.args[1])]?.(process),
      ...Object.fromEntries(Object.entries(programs).map(([name, program]) => [`/bin/${name}`, program])),
    },
  };
  const test = await createTestShim({ images: [image], ...options });
  const { shim, engine } = test;
  const { runtime } = createClients(shim.inProcessTransport());
  const { podSandboxId } = await runtime.runPodSandbox({ config: pod });
  const start: StreamingWorld["start"] = async (main, config = {}) => {
    const number = String(mains.push(main) - 1);
    const name = `main${number}`;
    const { containerId } = await runtime.createContainer({
      podSandboxId,
      sandboxConfig: pod,
      config: {
        metadata: { name },
        image: { image: "test:1" },
        command: ["main", number],
        logPath: `${name}.log`,
        ...config,
      },
    });
    await runtime.startContainer({ containerId });
    return containerId;
  };
  const containerId = await start(async (process) => process.sleep(Infinity));
  const wanted = { stdin: false, stdout: true, stderr: true, tty: false };
  return {
    shim,
    engine,
    runtime,
    podId: podSandboxId,
    containerId,
    start,
    execUrl: async (command, streams) =>
      (await runtime.exec({ containerId, cmd: [...command], ...wanted, ...streams })).url,
    attachUrl: async (id, streams) => (await runtime.attach({ containerId: id, ...wanted, ...streams })).url,
    portForwardUrl: async (ports = []) => (await runtime.portForward({ podSandboxId, port: [...ports] })).url,
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}
