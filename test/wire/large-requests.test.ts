import assert from "node:assert/strict";
import http from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { serveUnixSocket, type RunningServer } from "../../src/adapters/unix-socket/index.js";
import { CreateContainerRequestSchema, RunPodSandboxRequestSchema } from "../../src/gen/runtime/v1/api_pb.js";
import { createTestShim, type TestShim } from "../../src/testing/index.js";
import { longestStop } from "../support/event-loop.js";
import { frame, rawSession, type RawSession } from "./support/raw.js";
import { temporaryFolder } from "./support/servers.js";

const largest = 16 * 1024 * 1024;
/** All but the fields around it. */
const large = largest - 1024;
const createPath = "/runtime.v1.RuntimeService/CreateContainer";
const metadata = { name: "large", namespace: "default", uid: "uid-large", attempt: 0 };

function createContainer(config: object, podSandboxId: string): Buffer {
  const request = create(CreateContainerRequestSchema, {
    podSandboxId,
    sandboxConfig: { metadata },
    config: { metadata: { name: "main" }, image: { image: "busybox:1.36" }, ...config },
  });
  return frame(toBinary(CreateContainerRequestSchema, request));
}

const times = (count: number, make: (index: number) => unknown) =>
  Array.from({ length: count }, (_, index) => make(index));

/** Texts of almost 16 MiB, and as many messages as are decoded. */
const configs: Readonly<Record<string, () => object>> = {
  "an argument": () => ({ command: ["x".repeat(large)] }),
  "an argument without ASCII": () => ({ command: ["é".repeat(large / 2)] }),
  "an argument of quotes": () => ({ command: ['"'.repeat(large)] }),
  "an image's name": () => ({ image: { image: "x".repeat(large) } }),
  "an image's name of separators": () => ({ image: { image: "/:@".repeat(large / 3) } }),
  "an annotation": () => ({ annotations: { key: "y".repeat(large) } }),
  "a label's key": () => ({ labels: { ["y".repeat(large)]: "" } }),
  "a log path": () => ({ logPath: "../".repeat(large / 3) }),
  "a mount's path": () => ({ mounts: [{ containerPath: `/${"a/".repeat(large / 2)}`, hostPath: "/tmp" }] }),
  "a container's name": () => ({ metadata: { name: "_".repeat(large) } }),
  "26,000 mounts": () => ({ mounts: times(26_000, () => ({})) }),
  "15,000 mounts with paths": () => ({
    mounts: times(15_000, (index) => ({ containerPath: `/m/${index}`, hostPath: "/tmp" })),
  }),
  "15,900 variables": () => ({
    envs: times(15_900, (index) => ({ key: `KEY_${index}`, value: Buffer.from("value") })),
  }),
  "13,000 devices": () => ({
    devices: times(13_000, (index) => ({
      containerPath: `/d/${index}`,
      hostPath: "/dev/null",
      permissions: "rw",
    })),
  }),
  "15,900 annotations": () => ({
    annotations: Object.fromEntries(
      times(15_900, (index) => [`key-${index}`, "value"]) as [string, string][],
    ),
  }),
  "79,000 arguments": () => ({ args: times(79_000, () => "x") }),
};

describe("large requests to a whole shim", () => {
  let test: TestShim;
  let server: RunningServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let session: RawSession;
  let path: string;
  let pod: string;

  before(async () => {
    folder = await temporaryFolder();
    test = await createTestShim({ images: ["busybox:1.36"] });
    path = join(folder.path, "cri.sock");
    server = await serveUnixSocket(test.shim, { path });
    session = rawSession(() => connect(path));
    const request = create(RunPodSandboxRequestSchema, { config: { metadata } });
    const answer = await session.call(
      { ":path": "/runtime.v1.RuntimeService/RunPodSandbox" },
      frame(toBinary(RunPodSandboxRequestSchema, request)),
    );
    assert.equal(answer.status, "0", answer.message);
    pod = answer.body.subarray(-64).toString();
  });

  after(async () => {
    await session[Symbol.asyncDispose]();
    await server.close();
    await test[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  for (const [what, config] of Object.entries(configs)) {
    it(`are answered without a stop of the event loop: ${what}`, async () => {
      const request = createContainer(config(), pod);
      let status: string | undefined;
      const stopMs = await longestStop(async () => {
        status = (await session.call({ ":path": createPath }, request)).status;
      });
      assert.notEqual(status, undefined);
      assert.ok(stopMs < 100, `the event loop stood for ${stopMs} ms; answered ${status}`);
    });
  }

  const jsons: Readonly<Record<string, () => string>> = {
    "millions of mounts": () => `{"config":{"mounts":[${"{},".repeat(large / 3 - 20)}{}]}}`,
    "deep lists": () => "[".repeat(large),
    "a long text": () => JSON.stringify({ config: { annotations: { key: "x".repeat(large - 100) } } }),
    "a text of escapes": () => `{"config":{"annotations":{"key":"${"\\u00e9".repeat(large / 6 - 20)}"}}}`,
  };
  for (const [what, json] of Object.entries(jsons)) {
    it(`are answered without a stop of the event loop: ${what} in JSON`, async () => {
      const body = Buffer.from(json());
      let status = 0;
      const stopMs = await longestStop(async () => (status = await post(path, body)));
      assert.ok(status >= 400 && status < 600, `answered ${status}`);
      assert.ok(stopMs < 100, `the event loop stood for ${stopMs} ms; answered ${status}`);
    });
  }

  it("are unpacked in bounded memory, and no longer once the client has gone", async () => {
    const bomb = frame(gzipSync(Buffer.alloc(large)), 1);
    assert.ok(bomb.length < 20_000);
    const client = rawSession(() => connect(path));
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }, 5);
    const calls = times(500, () =>
      client.call({ ":path": createPath, "grpc-encoding": "gzip" }, bomb),
    ) as ReturnType<RawSession["call"]>[];
    const ended = Promise.allSettled(calls);
    await delay(300);
    await client[Symbol.asyncDispose]();
    await ended;
    clearInterval(watch);
    assert.ok(await isQuietWithin(5_000), "the shim went on unpacking");
    assert.ok(most < 300 * 1024 * 1024, `${most} bytes were held`);
    assert.equal((await session.call({}, frame(Buffer.alloc(0)))).status, "0");
  });

  it("get RESOURCE_EXHAUSTED when all together would hold too much, and are taken again later", async () => {
    const bomb = frame(gzipSync(Buffer.alloc(large)), 1);
    const client = rawSession(() => connect(path));
    const answers = await Promise.all(
      times(60, () => client.call({ ":path": createPath, "grpc-encoding": "gzip" }, bomb)) as ReturnType<
        RawSession["call"]
      >[],
    );
    const refused = answers.filter(({ status }) => status === String(Code.ResourceExhausted));
    assert.ok(refused.some(({ message }) => message.includes("try again later")));
    assert.equal((await client.call({}, frame(Buffer.alloc(0)))).status, "0");
    await client[Symbol.asyncDispose]();
  });
});

/** Posts JSON as curl does. Returns the status. */
function post(socketPath: string, body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const request = http.request({ socketPath, method: "POST", path: createPath, headers }, (response) => {
      response.resume().on("end", () => {
        resolve(response.statusCode ?? 0);
      });
    });
    request.on("error", reject).end(body);
  });
}

/** True once this process has had little to do for a while: unpacking all requests takes it half a minute. */
async function isQuietWithin(ms: number): Promise<boolean> {
  for (const deadline = Date.now() + ms; Date.now() < deadline;) {
    const before = process.cpuUsage();
    await delay(300);
    const { user, system } = process.cpuUsage(before);
    if (user + system < 60_000) return true;
  }
  return false;
}
