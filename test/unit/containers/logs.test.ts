import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { containerConfig, fails, openLab, podConfig, type Lab } from "./lab.js";

const logDirectory = "/var/log/pods/default_pod_uid";
const sandboxConfig = { ...podConfig, logDirectory };
const talking = ["sh", "-c", "echo one; echo two >&2; sleep infinity"];

async function create({ runtime, pod }: Lab, logPath: string): Promise<string> {
  const config = containerConfig("app", talking, { logPath });
  return (await runtime.createContainer({ podSandboxId: pod, sandboxConfig, config })).containerId;
}

describe("the log of a container", () => {
  it("is complete, and stays, when the container is removed while it runs", async () => {
    for (const stopFails of [false, true]) {
      await using lab = await openLab();
      const containerId = await create(lab, "app/0.log");
      await lab.runtime.startContainer({ containerId });
      if (stopFails) lab.engine.faults.on("containers.stop", { error: "internal", times: 1 });
      await lab.runtime.removeContainer({ containerId });
      const log = String(await lab.engine.host.files.read(`${logDirectory}/app/0.log`));
      if (!stopFails) assert.match(log, /^\S+ stdout F one\n\S+ stderr F two\n$/);
      assert.deepEqual((await lab.runtime.listContainers({})).containers, []);
    }
  });

  it("is not waited for when the container was never started", async () => {
    await using lab = await openLab();
    const containerId = await create(lab, "app/0.log");
    await lab.runtime.removeContainer({ containerId });
    assert.equal(await lab.engine.host.files.kindOf(logDirectory), undefined);
    assert.equal(lab.engine.calls.count("containers.stop"), 0);
  });

  it("is refused when a link leads out of the pod's log directory, also above the file's folder", async () => {
    await using lab = await openLab();
    await lab.engine.host.files.makeDirectory("/elsewhere/app");
    await lab.engine.host.files.makeDirectory(logDirectory);
    lab.engine.host.tree.symlink("/elsewhere", `${logDirectory}/link`);
    for (const logPath of ["link/0.log", "link/app/0.log"]) {
      const containerId = await create(lab, logPath);
      await fails(lab.runtime.startContainer({ containerId }), Code.FailedPrecondition, /link/);
      await lab.runtime.removeContainer({ containerId });
    }
    assert.deepEqual(await lab.engine.host.files.list("/elsewhere"), ["app"]);
    assert.deepEqual(await lab.engine.host.files.list("/elsewhere/app"), []);
  });

  it("is refused at start when its log directory is a file or a link, in either mode", async () => {
    for (const mode of ["cri", "docker-json"] as const) {
      await using lab = await openLab({ logs: { mode } });
      const { host } = lab.engine;
      await host.files.makeDirectory("/elsewhere");
      await host.files.makeDirectory("/var/log/pods");
      host.tree.symlink("/elsewhere", logDirectory);
      const linked = await create(lab, "app/0.log");
      await fails(
        lab.runtime.startContainer({ containerId: linked }),
        Code.FailedPrecondition,
        /link.*Remove|ELOOP/,
      );
      await lab.runtime.removeContainer({ containerId: linked });
      assert.deepEqual(await host.files.list("/elsewhere"), []);
      await host.files.remove(logDirectory);
      await host.files.writeAtomic(logDirectory, "a file");
      const taken = await create(lab, "app/0.log");
      await fails(
        lab.runtime.startContainer({ containerId: taken }),
        Code.FailedPrecondition,
        /ENOTDIR.*Remove/,
      );
      await lab.runtime.removeContainer({ containerId: taken });
      assert.equal(String(await host.files.read(logDirectory)), "a file");
    }
  });

  it("is refused at create when its path is too long", async () => {
    await using lab = await openLab();
    for (const logPath of ["n".repeat(256), `${"n".repeat(256)}/0.log`, `${"d/".repeat(2_040)}0.log`])
      await fails(create(lab, logPath), Code.InvalidArgument, /log_path.*too long/);
  });

  it("is refused at create when its path leads out of the pod's log directory", async () => {
    await using lab = await openLab();
    for (const logPath of ["../other/0.log", "app/../../0.log", ".", "app\0"]) {
      await fails(create(lab, logPath), Code.InvalidArgument, /log_path/);
    }
  });
});
