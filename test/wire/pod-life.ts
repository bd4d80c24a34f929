import assert from "node:assert/strict";

/** One line of a list of pods or containers. */
export interface Listed {
  readonly id: string;
  readonly name: string;
  readonly state: string;
}

/** What a user of CRI does, whatever it is done with: crictl, or a client of ours. */
export interface Cri {
  version(): Promise<{ runtimeName: string; runtimeVersion: string; runtimeApiVersion: string }>;
  /** The conditions that hold. */
  conditions(): Promise<readonly string[]>;
  pull(image: string): Promise<void>;
  /** Names of all images on the node. */
  images(): Promise<readonly string[]>;
  runPod(name: string): Promise<string>;
  createContainer(
    pod: string,
    options: { name: string; image: string; command: readonly string[] },
  ): Promise<string>;
  startContainer(id: string): Promise<void>;
  /** The lines of standard output, then those of standard error, and the exit code. */
  exec(id: string, command: readonly string[]): Promise<{ lines: string[]; exitCode: number }>;
  containers(): Promise<readonly Listed[]>;
  pods(): Promise<readonly Listed[]>;
  inspectContainer(id: string): Promise<{ state: string; exitCode: number; image: string; logPath: string }>;
  inspectPod(id: string): Promise<{ state: string; name: string; namespace: string }>;
  stopContainer(id: string): Promise<void>;
  removeContainer(id: string): Promise<void>;
  stopPod(id: string): Promise<void>;
  removePod(id: string): Promise<void>;
  removeImage(image: string): Promise<void>;
}

export interface PodLifeOptions {
  /** The engine's release. */
  readonly engineVersion: string;
  /** An image with a shell, which is pulled and removed. */
  readonly image: string;
  /** Called after each step with what the engine itself must show: the state of each container by id. */
  readonly agree?: (expected: ReadonlyMap<string, "created" | "running" | "exited">) => Promise<void>;
}

/** A pod's whole life, each step checked by what the next call shows. */
export async function podLife(cri: Cri, options: PodLifeOptions): Promise<void> {
  const expected = new Map<string, "created" | "running" | "exited">();
  const agree = async () => {
    await options.agree?.(expected);
  };

  assert.deepEqual(await cri.version(), {
    runtimeName: "docker",
    runtimeVersion: options.engineVersion,
    runtimeApiVersion: "v1",
  });
  assert.deepEqual([...(await cri.conditions())].sort(), ["NetworkReady", "RuntimeReady"]);
  await cri.pull(options.image);
  assert.ok((await cri.images()).includes(options.image));

  const pod = await cri.runPod("life");
  assert.match(pod, /^[0-9a-f]{64}$/);
  expected.set(pod, "running");
  await agree();
  assert.deepEqual(await cri.inspectPod(pod), { state: "SANDBOX_READY", name: "life", namespace: "default" });
  assert.deepEqual(await cri.pods(), [{ id: pod, name: "life", state: "SANDBOX_READY" }]);

  const command = ["sh", "-c", "echo hello; sleep 300"];
  const container = await cri.createContainer(pod, { name: "worker", image: options.image, command });
  expected.set(container, "created");
  await agree();
  assert.equal((await cri.inspectContainer(container)).state, "CONTAINER_CREATED");

  await cri.startContainer(container);
  expected.set(container, "running");
  await agree();
  assert.deepEqual(await cri.containers(), [{ id: container, name: "worker", state: "CONTAINER_RUNNING" }]);
  const status = await cri.inspectContainer(container);
  assert.equal(status.image, options.image);
  assert.match(status.logPath, /worker\.log$/);

  assert.deepEqual(await cri.exec(container, ["sh", "-c", "echo out; echo err >&2"]), {
    lines: ["out", "err"],
    exitCode: 0,
  });
  // crictl shows no output of a command that failed.
  assert.equal((await cri.exec(container, ["sh", "-c", "exit 3"])).exitCode, 3);

  await cri.stopContainer(container);
  expected.set(container, "exited");
  await agree();
  const stopped = await cri.inspectContainer(container);
  assert.equal(stopped.state, "CONTAINER_EXITED");
  assert.notEqual(stopped.exitCode, 0);

  await cri.removeContainer(container);
  expected.delete(container);
  await agree();
  assert.deepEqual(await cri.containers(), []);

  await cri.stopPod(pod);
  expected.set(pod, "exited");
  await agree();
  assert.equal((await cri.inspectPod(pod)).state, "SANDBOX_NOTREADY");

  await cri.removePod(pod);
  expected.delete(pod);
  await agree();
  assert.deepEqual(await cri.pods(), []);

  await cri.removeImage(options.image);
  assert.ok(!(await cri.images()).includes(options.image));
}
