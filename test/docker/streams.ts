import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, readlink } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clients, ContainerConfig, ContainerConfigSchema } from "../../src/client/index.js";
import type { PodSandboxConfigSchema } from "../../src/gen/runtime/v1/api_pb.js";
import { waitUntil, type Dockerd } from "./lab/index.js";

const mebibyte = 1024 * 1024;
/** Of the mask in /proc/PID/status. */
const sigterm = 1n << 14n;

/** Waits until something holds, for a minute or as long as is given: no time is measured by it, and the machine may be busy. */
export async function until(holds: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
  assert.ok(await waitUntil(holds, withinMs), `not within ${withinMs} ms: ${holds.toString()}`);
}

/** Waits until what `read` returns is as wanted. @throws AssertionError with the difference after `withinMs`. */
export async function untilEqual<T>(read: () => Promise<T>, wanted: T, withinMs: number): Promise<void> {
  await waitUntil(async () => isDeepStrictEqual(await read(), wanted), withinMs, 200);
  assert.deepEqual(await read(), wanted);
}

/** Starts a container of busybox in a pod. @returns Its id. */
export async function startBusybox(
  { runtime }: Clients,
  podSandboxId: string,
  sandboxConfig: MessageInitShape<typeof PodSandboxConfigSchema>,
  config: Exclude<MessageInitShape<typeof ContainerConfigSchema>, ContainerConfig>,
): Promise<string> {
  const { containerId } = await runtime.createContainer({
    podSandboxId,
    sandboxConfig,
    config: { image: { image: "busybox:1.36" }, linux: {}, ...config },
  });
  await runtime.startContainer({ containerId });
  return containerId;
}

/** Waits until a container's first process ignores SIGTERM: a shell that has just been started has no trap yet. */
export async function untilDeaf(dockerd: Dockerd, containerId: string): Promise<void> {
  const { stdout } = await dockerd.docker(["inspect", "--format", "{{.State.Pid}}", containerId]);
  await until(async () => {
    const status = await readFile(`/proc/${stdout.trim()}/status`, "utf8");
    return (BigInt(`0x${/^SigIgn:\s+(\w+)$/m.exec(status)?.[1] ?? "0"}`) & sigterm) !== 0n;
  });
}

/** The processes of this machine of which one argument is such a word. */
export async function processesWith(word: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return lines.filter((line) => line.split("\0").includes(word));
}

/** How many sockets a process has open. */
export async function socketsOf(pid: number): Promise<number> {
  const names = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")));
  return targets.filter((target) => target.startsWith("socket:")).length;
}

/** Writes so many MiB and ends the stream. @returns Their MD5 digest. */
export async function pour(into: Writable, mebibytes: number): Promise<string> {
  const hash = createHash("md5");
  for (let index = 0; index < mebibytes; index++) {
    const chunk = Buffer.alloc(mebibyte, index);
    hash.update(chunk);
    if (!into.write(chunk)) await once(into, "drain");
  }
  into.end();
  return hash.digest("hex");
}

export async function digestOf(stream: Readable): Promise<string> {
  const hash = createHash("md5");
  for await (const chunk of stream as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest("hex");
}
