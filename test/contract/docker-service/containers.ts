import assert from "node:assert/strict";
import { it } from "node:test";
import { isKind } from "../../../src/base/index.js";
import { NameConflict } from "../../../src/docker/index.js";
import { rejectsWith, uniqueName, type Scene } from "./scene.js";

/** Making, finding, listing and changing containers. */
export function testContainers(scene: () => Scene): void {
  it("creates a container without starting it, and returns a 64-hex id", async () => {
    const id = await scene().create(["sleep", "600"], {
      config: { labels: { "contract.kind": "created" }, env: ["A=1", "B=two words"], workingDir: "/tmp" },
    });
    assert.match(id, /^[0-9a-f]{64}$/);
    const container = await scene().service.containers.inspect(id);
    assert.equal(container.id, id);
    assert.equal(container.state.status, "created");
    assert.equal(container.state.running, false);
    assert.equal(container.state.pid, undefined);
    assert.equal(container.state.startedAtNanos, undefined, "Docker's zero time is absent");
    assert.equal(container.state.finishedAtNanos, undefined, "Docker's zero time is absent");
    assert.ok(
      container.createdAtNanos !== undefined && container.createdAtNanos > 1_500_000_000_000_000_000n,
    );
    assert.equal(container.config.labels?.["contract.kind"], "created");
    assert.equal(container.config.image, scene().image);
    assert.deepEqual(container.config.command, ["sleep", "600"]);
    assert.equal(container.config.workingDir, "/tmp");
    for (const pair of ["A=1", "B=two words"]) assert.ok(container.config.env?.includes(pair));
    assert.match(container.imageId ?? "", /^sha256:[0-9a-f]{64}$/);
    assert.equal(container.host.networkMode, "host");
  });

  it("finds a container by id, by an unambiguous prefix and by name", async () => {
    const name = uniqueName();
    const id = await scene().create(["true"], { name });
    const { containers } = scene().service;
    for (const reference of [id, id.slice(0, 20), name]) {
      const found = await containers.inspect(reference);
      assert.deepEqual([found.id, found.name], [id, name]);
    }
  });

  it("refuses a name in use, and reports its holder", async () => {
    const name = uniqueName();
    const holder = await scene().create(["true"], { name });
    const error = await rejectsWith("already-exists", scene().create(["true"], { name }));
    assert.ok(error.cause instanceof NameConflict);
    assert.equal(error.cause.holderId, holder);
    assert.equal(error.cause.containerName.replace(/^\//, ""), name);
    await scene().service.containers.remove(holder);
    assert.notEqual(await scene().create(["true"], { name }), holder, "the name is free again");
  });

  it("refuses what Docker refuses", async () => {
    const bad = (more: Parameters<Scene["create"]>[1]) => scene().create(["true"], more);
    await rejectsWith("not-found", bad({ config: { image: "contract-no-such-image:1" } }));
    await rejectsWith("invalid-argument", bad({ name: "no good name" }));
    await rejectsWith("invalid-argument", bad({ host: { resources: { memoryBytes: 1024 } } }));
    await rejectsWith("invalid-argument", bad({ host: { capAdd: ["NO_SUCH_CAPABILITY"] } }));
    const mounts = [{ type: "bind", source: `/no/such/${uniqueName()}`, target: "/mnt" }] as const;
    await rejectsWith("invalid-argument", bad({ host: { mounts } }));
  });

  it("lists containers in every state, newest first, and filters by label", async () => {
    const { containers } = scene().service;
    const mark = uniqueName();
    const config = { labels: { "contract.mark": mark, "contract.more": "x" } };
    const first = await scene().create(["true"], { config });
    const second = await scene().sleeper({ config });
    await scene().create(["true"]);
    const found = await containers.list({ labels: { "contract.mark": mark, "contract.more": undefined } });
    assert.deepEqual(new Set(found.map(({ id }) => id)), new Set([first, second]));
    assert.equal(found[0]?.id, second, "newest first");
    assert.equal(found[0].state, "running");
    assert.equal(found[0].labels["contract.mark"], mark);
    assert.ok((found[0].createdAtSeconds ?? 0) > 1_500_000_000);
    assert.match(found[0].names[0] ?? "", /^contract-/, "names have no slash");
    assert.equal(found[1]?.state, "created");
    assert.deepEqual(await containers.list({ labels: { "contract.mark": `${mark}-other` } }), []);
    const all = await containers.list();
    assert.ok(all.some(({ id }) => id === first));
  });

  it("shows the mounts, limits and options that a container was made with", async () => {
    const id = await scene().create(["true"], {
      host: {
        mounts: [{ type: "bind", source: "/usr", target: "/mnt", readonly: true, propagation: "rprivate" }],
        resources: {
          memoryBytes: 64 * 1024 * 1024,
          cpuShares: 512,
          cpuPeriodMicros: 100_000,
          cpuQuotaMicros: 50_000,
        },
        readonlyRootfs: true,
        maskedPaths: [],
        readonlyPaths: [],
      },
    });
    const { host, mounts } = await scene().service.containers.inspect(id);
    const mount = mounts.find(({ target }) => target === "/mnt");
    assert.deepEqual([mount?.source, mount?.writable, mount?.type], ["/usr", false, "bind"]);
    assert.equal(host.resources?.memoryBytes, 64 * 1024 * 1024);
    assert.equal(host.resources.cpuShares, 512);
    assert.equal(host.resources.cpuPeriodMicros, 100_000);
    assert.equal(host.resources.cpuQuotaMicros, 50_000);
    assert.equal(host.readonlyRootfs, true);
    assert.deepEqual(host.maskedPaths ?? [], [], "an empty list masks nothing");
  });

  it("changes limits of a running container, and leaves the others as they are", async () => {
    const { containers } = scene().service;
    const id = await scene().sleeper({
      host: { resources: { memoryBytes: 64 * 1024 * 1024, cpuShares: 512 } },
    });
    await containers.update(id, { cpuShares: 256 });
    const { resources } = (await containers.inspect(id)).host;
    assert.equal(resources?.cpuShares, 256);
    assert.equal(resources.memoryBytes, 64 * 1024 * 1024);
    await rejectsWith("invalid-argument", containers.update(id, { memoryBytes: 1024 }));
    assert.equal((await containers.inspect(id)).host.resources?.memoryBytes, 64 * 1024 * 1024);
  });

  it("refuses a memory limit above the limit of memory and swap", async () => {
    const { containers } = scene().service;
    const limited = await scene().sleeper({ host: { resources: { memoryBytes: 64 * 1024 * 1024 } } });
    await rejectsWith("invalid-argument", containers.update(limited, { memoryBytes: 256 * 1024 * 1024 }));
    const both = { memoryBytes: 256 * 1024 * 1024, memorySwapBytes: 256 * 1024 * 1024 };
    await containers.update(limited, both);
    const { resources } = (await containers.inspect(limited)).host;
    assert.deepEqual(
      [resources?.memoryBytes, resources?.memorySwapBytes],
      [both.memoryBytes, both.memorySwapBytes],
    );
    const unlimited = await scene().create(["true"]);
    await rejectsWith("invalid-argument", containers.update(unlimited, { memoryBytes: 256 * 1024 * 1024 }));
    await containers.update(unlimited, both);
  });

  it("returns not-found for a missing container from every call", async () => {
    const { containers, execs } = scene().service;
    const id = "f".repeat(64);
    const asked: Readonly<Record<string, () => Promise<unknown>>> = {
      inspect: () => containers.inspect(id),
      start: () => containers.start(id),
      stop: () => containers.stop(id, { graceSeconds: 0 }),
      kill: () => containers.kill(id),
      remove: () => containers.remove(id),
      update: () => containers.update(id, { cpuShares: 2 }),
      attach: () => containers.attach(id, { stdin: false, stdout: true, stderr: true, tty: false }),
      resize: () => containers.resize(id, { width: 80, height: 24 }),
      logs: () => scene().logs(id),
      export: async () => {
        for await (const chunk of containers.export(id)) assert.fail(`got ${chunk.length} bytes`);
      },
      resolveMounts: () => containers.resolveMounts(id),
      "execs.create": () =>
        execs.create(id, { command: ["true"], tty: false, stdin: false, stdout: true, stderr: true }),
      "execs.start": () => execs.start(id, { tty: false }),
      "execs.inspect": () => execs.inspect(id),
      "execs.resize": () => execs.resize(id, { width: 80, height: 24 }),
    };
    for (const [what, ask] of Object.entries(asked)) {
      const error = await ask().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      assert.ok(isKind(error, "not-found"), `${what} answered ${String(error)}`);
    }
  });

  it("looks for an image's sub-path before the start and at the start", async () => {
    const { containers, system } = scene().service;
    await containers.resolveMounts(await scene().create(["true"]));
    const mount = { type: "image", source: scene().image, target: "/vol", readonly: true } as const;
    const create = () => scene().create(["true"], { host: { mounts: [{ ...mount, imageSubpath: "none" }] } });
    const [, minor] = await system.apiVersion();
    if (minor < 48) {
      await rejectsWith("unsupported", create());
      return;
    }
    const id = await create();
    await rejectsWith("not-found", containers.resolveMounts(id));
    await rejectsWith("not-found", containers.start(id));
  });

  it("exports the filesystem as a tar stream", async () => {
    const id = await scene().create(["true"]);
    const chunks: Uint8Array[] = [];
    for await (const chunk of scene().service.containers.export(id)) chunks.push(chunk);
    const archive = Buffer.concat(chunks);
    assert.equal(archive.length % 512, 0);
    assert.equal(archive.subarray(257, 262).toString(), "ustar");
  });

  it("has no checkpoints without CRIU", async () => {
    const id = await scene().sleeper();
    const options = { name: "c", directory: "/tmp/checkpoints", exit: false };
    await rejectsWith("failed-precondition", scene().service.containers.checkpoint(id, options));
  });
}
