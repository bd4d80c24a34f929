import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import { isKind } from "../../src/base/index.js";
import type { DockerService, LogFrame } from "../../src/docker/index.js";
import { createDockerodeService } from "../../src/drivers/dockerode/index.js";
import { describeDockerService } from "../contract/docker-service-suite.js";
import { collect, rejectsWith, textOf, until } from "../contract/docker-service/scene.js";
import {
  basicImageNames,
  imageSet,
  openLab,
  type Dockerd,
  type EngineName,
  type Registry,
} from "./lab/index.js";

const image = basicImageNames.busybox;
const lab = openLab();

after(async () => {
  await lab.close();
});

function connect(dockerd: Dockerd): DockerService {
  return createDockerodeService({
    endpoint: dockerd.endpoint,
    requestTimeoutMs: 60_000,
    log: pino({ level: "silent" }),
  });
}

/** A registry with busybox in it, for all engines. */
let registry: Promise<Registry> | undefined;
async function filledRegistry(): Promise<Registry> {
  registry ??= (async () => {
    const started = await lab.registry();
    const [busybox] = (await imageSet("basic")).images;
    assert.ok(busybox);
    await started.push(busybox);
    return started;
  })();
  return await registry;
}

interface Variant {
  readonly engine: EngineName;
  readonly containerdStore?: boolean;
}

const variants: readonly Variant[] = [
  { engine: "20.10" },
  { engine: "26.1" },
  { engine: "26.1", containerdStore: true },
  { engine: "28" },
];

for (const variant of variants) {
  const store = variant.containerdStore === true ? ", images in containerd's store" : "";
  const title = `Docker ${variant.engine}${store}, through dockerode`;
  let dockerd: Promise<Dockerd> | undefined;
  const started = async () => await (dockerd ??= lab.dockerd({ name: "contract", ...variant }));

  describeDockerService(`${title}, as a DockerService`, async () => {
    const service = connect(await started());
    return {
      service,
      image,
      pullable: (await filledRegistry()).nameOf(image),
      close: async () => {
        await service.close();
      },
    };
  });

  describe(`${title}, in hard times`, { timeout: 300_000 }, () => {
    let engine: Dockerd;
    let service: DockerService;
    before(async () => {
      engine = await started();
      service = connect(engine);
    });
    after(async () => {
      await service.close();
      await engine.stop();
    });

    it("is unavailable while dockerd is down, and negotiates the version again afterwards", async () => {
      const subscription = service.events.subscribe({});
      await subscription.ready;
      const broken = rejectsWith("unavailable", collect(subscription));
      await engine.kill();
      try {
        await broken;
        await rejectsWith("unavailable", service.containers.list());
        const error = await rejectsWith("unavailable", service.system.apiVersion());
        assert.match(error.message, /start Docker/);
      } finally {
        await engine.start();
      }
      await service.containers.list();
      assert.equal((await service.system.apiVersion())[0], 1);
    });

    it("survives a restart between two calls", async () => {
      await service.images.list();
      await engine.restart();
      await service.images.list();
    });

    it("ends its calls in time while dockerd is frozen, and recovers afterwards", async () => {
      await service.images.list();
      engine.pause();
      try {
        // Its threads stop one by one.
        await until("dockerd to freeze", async () =>
          service.images.list({ deadlineMs: 200 }).then(
            () => undefined,
            (error: unknown) => isKind(error, "deadline-exceeded"),
          ),
        );
        const caller = new AbortController();
        setTimeout(() => {
          caller.abort();
        }, 100);
        await rejectsWith("cancelled", service.system.info({ signal: caller.signal }));
        const others = Array.from({ length: 30 }, async () =>
          rejectsWith("deadline-exceeded", service.system.info({ deadlineMs: 100 })),
        );
        await Promise.all(others);
      } finally {
        engine.resume();
      }
      await service.images.list();
    });

    it("leaves no connection behind after many that were cut", async () => {
      await service.images.list();
      const before = openSockets();
      const { id } = await service.containers.create({
        name: "cut",
        config: { image, command: ["sleep", "600"] },
        host: { networkMode: "none" },
      });
      await service.containers.start(id);
      const spec = { command: ["cat"], tty: false, stdin: true, stdout: true, stderr: true };
      for (let round = 0; round < 20; round++) {
        const caller = new AbortController();
        const follow = collect(service.containers.logs(id, { follow: true, signal: caller.signal }));
        const stream = await service.execs.start(await service.execs.create(id, spec), { tty: false });
        await stream.write(Buffer.from("x"));
        stream.destroy();
        caller.abort();
        await rejectsWith("cancelled", follow);
      }
      await service.containers.remove(id, { force: true });
      await until("the connections to close", () => (openSockets() <= before + 3 ? true : undefined));
    });

    it("carries 50 MB in and out of an exec, both at once", async () => {
      const { id } = await service.containers.create({
        name: "echo",
        config: { image, command: ["sleep", "600"] },
        host: { networkMode: "none" },
      });
      await service.containers.start(id);
      const spec = { command: ["cat"], tty: false, stdin: true, stdout: true, stderr: true };
      const stream = await service.execs.start(await service.execs.create(id, spec), { tty: false });
      const chunk = Buffer.alloc(64 * 1024, "0123456789abcdef");
      const writing = (async () => {
        for (let count = 0; count < 800; count++) await stream.write(chunk);
        stream.endInput();
      })();
      let bytes = 0;
      for await (const { data } of stream.output) bytes += data.length;
      await writing;
      assert.equal(bytes, 800 * chunk.length);
      await service.containers.remove(id, { force: true });
    });

    it("gives all that a process wrote, though it left much of its stdin unread", async () => {
      const { id } = await service.containers.create({
        name: "unread",
        config: { image, command: ["sleep", "600"] },
        host: { networkMode: "none" },
      });
      await service.containers.start(id);
      const command = ["sh", "-c", "head -c 10 >/dev/null; head -c 1000000 /dev/zero; echo; echo end"];
      const spec = { command, tty: false, stdin: true, stdout: true, stderr: true };
      const stream = await service.execs.start(await service.execs.create(id, spec), { tty: false });
      const writing = (async () => {
        for (;;) await stream.write(Buffer.alloc(64 * 1024));
      })();
      const ended = rejectsWith("unavailable", writing);
      const output = textOf(await collect(stream.output));
      assert.equal(output.length, 1_000_005);
      assert.ok(output.endsWith("\nend\n"));
      await ended;
      await service.containers.remove(id, { force: true });
    });

    it("reports why a pull fails", async () => {
      const { address } = await filledRegistry();
      const pull = async (reference: string) => await collect(service.images.pull({ reference }));
      await rejectsWith("not-found", pull(`${address}/no/such:1`));
      await rejectsWith("not-found", pull(`${address}/library/busybox:no-such-tag`));
      await rejectsWith("unavailable", pull("127.0.0.1:1/nobody/listens:1"));
      await rejectsWith("invalid-argument", pull("NOT A NAME"));
    });

    it("sends a registry the credentials it requires", async () => {
      const locked = await lab.registry({ users: { alice: "p?>~ss" } });
      const [busybox] = (await imageSet("basic")).images;
      assert.ok(busybox);
      await locked.push(busybox);
      const reference = locked.nameOf(image);
      await rejectsWith("unauthenticated", collect(service.images.pull({ reference })));
      const wrong = { username: "alice", password: "wrong" };
      await rejectsWith("unauthenticated", collect(service.images.pull({ reference, auth: wrong })));
      const auth = { username: "alice", password: "p?>~ss" };
      assert.ok((await collect(service.images.pull({ reference, auth }))).length > 0);
      const pulled = await service.images.inspect(reference);
      assert.ok(pulled.repoTags.includes(reference));
      assert.equal(pulled.repoDigests.length, 1);
      await service.images.remove(reference);
      await locked.stop();
    });

    it("reads the log of a terminal entry by entry", async () => {
      const script = "echo one; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end";
      const { id } = await service.containers.create({
        name: "terminal",
        config: { image, command: ["sh", "-c", script], tty: true },
        host: { networkMode: "none" },
      });
      await service.containers.start(id);
      await until("its end", async () => !(await service.containers.inspect(id)).state.running || undefined);
      // A follow may miss the last line, which has no newline.
      const frames: LogFrame[] = [];
      for await (const batch of service.containers.logs(id)) frames.push(...batch);
      assert.deepEqual(
        frames.map(({ data }) => data.length),
        [5, 16_384, 16_384, 7234, 3],
      );
      assert.equal(frames[1]?.timestampNanos, frames[3]?.timestampNanos);
      await service.containers.remove(id, { force: true });
    });

    it("reports clearly why a container does not start", async () => {
      const start = async (command: string) => {
        const { id } = await service.containers.create({
          name: "wrong",
          config: { image, command: [command] },
          host: { networkMode: "none" },
        });
        try {
          await service.containers.start(id);
        } finally {
          await service.containers.remove(id, { force: true });
        }
      };
      const missing = await rejectsWith("invalid-argument", start("no-such-program"));
      assert.match(missing.message, /the command "no-such-program" is not in the image/);
      const notExecutable = await rejectsWith("invalid-argument", start("/etc/passwd"));
      assert.match(notExecutable.message, /"\/etc\/passwd" may not be executed/);
    });

    it("refuses what this engine's API would ignore, which later ones know", async () => {
      const [, minor] = await service.system.apiVersion();
      const creating = service.containers.create({
        name: "image-mount",
        config: { image, command: ["true"] },
        host: { mounts: [{ type: "image", source: image, target: "/mnt" }] },
      });
      if (minor >= 48) {
        await service.containers.remove((await creating).id);
        return;
      }
      const error = await rejectsWith("unsupported", creating);
      assert.ok(error.message.includes(`1.${minor} is in use`), error.message);
      assert.ok(isKind(error, "unsupported") && error.operation === "containers.create");
    });
  });
}

/** Unix sockets that this process has connected: the driver's. */
function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "PipeWrap").length;
}
