import assert from "node:assert/strict";
import { it } from "node:test";
import { isKind } from "../../../src/base/index.js";
import { rejectsWith, uniqueName, until, type OpenService, type Scene } from "./scene.js";

/** The engine as a whole, and the limits of calls. */
export function testSystem(scene: () => Scene, open: OpenService): void {
  it("answers with its name and version", async () => {
    const { system } = scene().service;
    await system.ping();
    const version = await system.version();
    assert.ok((version.engineVersion ?? "").length > 0);
    assert.match(version.apiVersion ?? "", /^1\.\d+$/);
    const [major, minor] = await system.apiVersion();
    assert.equal(major, 1);
    assert.ok(minor >= 41);
    const info = await system.info();
    assert.ok(info.cgroupDriver === "cgroupfs" || info.cgroupDriver === "systemd");
    assert.ok(info.cgroupVersion === 1 || info.cgroupVersion === 2);
    assert.ok(info.runtimes.some(({ name }) => name === (info.defaultRuntime ?? "runc")));
    assert.match(info.rootDirectory ?? "", /^\//);
    assert.ok((info.cpus ?? 0) > 0);
    assert.ok((info.memoryBytes ?? 0) > 0);
    assert.ok((info.kernelVersion ?? "").length > 0);
    assert.equal(info.engineVersion, version.engineVersion);
  });

  it("does not begin a cancelled call", async () => {
    const { containers, images, system, execs } = scene().service;
    const signal = AbortSignal.abort();
    const id = await scene().sleeper();
    const name = uniqueName();
    const spec = { name, config: { image: scene().image, command: ["true"] }, host: {} };
    const exec = { command: ["true"], tty: false, stdin: false, stdout: true, stderr: true };
    await rejectsWith("cancelled", system.ping({ signal }));
    await rejectsWith("cancelled", system.info({ signal }));
    await rejectsWith("cancelled", containers.list({}, { signal }));
    await rejectsWith("cancelled", containers.inspect(id, { signal }));
    await rejectsWith("cancelled", containers.create(spec, { signal }));
    await rejectsWith("cancelled", containers.stop(id, { graceSeconds: 0, signal }));
    await rejectsWith("cancelled", containers.remove(id, { force: true, signal }));
    await rejectsWith("cancelled", execs.create(id, exec, { signal }));
    await rejectsWith("cancelled", images.list({ signal }));
    assert.equal((await containers.inspect(id)).state.running, true);
    await rejectsWith("not-found", containers.inspect(name));
  });

  it("ends a call at its deadline, and by its signal", async () => {
    const { containers } = scene().service;
    const id = await scene().run(["sh", "-c", "trap '' TERM; echo ready; sleep 600"]);
    await until("the trap to be set", async () => ((await scene().logs(id)).length > 0 ? true : undefined));
    const before = Date.now();
    await rejectsWith("deadline-exceeded", containers.stop(id, { graceSeconds: 60, deadlineMs: 200 }));
    const abort = new AbortController();
    const stopping = containers.stop(id, { graceSeconds: 60, signal: abort.signal });
    setTimeout(() => {
      abort.abort();
    }, 100);
    await rejectsWith("cancelled", stopping);
    assert.ok(Date.now() - before < 5000, "both ended long before the grace period");
    assert.equal((await containers.inspect(id)).state.running, true);
  });

  it("never leaves it open whether a container was made", async () => {
    const { containers } = scene().service;
    for (const delayMs of [0, 1, 5, 20]) {
      const abort = new AbortController();
      const name = uniqueName();
      const spec = { name, config: { image: scene().image, command: ["true"] }, host: {} };
      const creating = containers.create(spec, { signal: abort.signal });
      setTimeout(() => {
        abort.abort();
      }, delayMs);
      try {
        const { id } = await creating;
        assert.equal((await containers.inspect(name)).id, id);
        await containers.remove(id);
      } catch (error) {
        assert.ok(isKind(error, "cancelled"), String(error));
        await rejectsWith("not-found", containers.inspect(name));
      }
    }
  });

  it("fails with unavailable once it is closed, and closes twice", async () => {
    const opened = await open();
    const { service, image } = opened;
    const subscription = service.events.subscribe({});
    await subscription.ready;
    const following = (async () => {
      for await (const event of subscription) assert.ok(event.type);
    })();
    const { id } = await service.containers.create({
      name: uniqueName(),
      config: { image, command: ["sleep", "600"] },
      host: { networkMode: "host" },
    });
    await service.containers.start(id);
    await service.containers.remove(id, { force: true });
    await service.close();
    await service.close();
    await rejectsWith("unavailable", following);
    await rejectsWith("unavailable", service.system.ping());
    await opened.close();
  });
}
