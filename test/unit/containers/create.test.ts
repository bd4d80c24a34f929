import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { NameConflict } from "../../../src/docker/index.js";
import { ContainerState, SecurityProfile_ProfileType } from "../../../src/gen/runtime/v1/api_pb.js";
import { containerConfig, fails, forever, image, openLab, podConfig, until, type Lab } from "./lab.js";

const dockerName = "k8s_one_pod_default_uid_0";

/** Asks for the container "one". */
const createOne = ({ runtime, pod }: Lab, signal?: AbortSignal) =>
  runtime.createContainer(
    { podSandboxId: pod, sandboxConfig: podConfig, config: containerConfig("one", forever) },
    signal ? { signal } : {},
  );

/** The ids of Docker's containers, without the sandbox. */
async function others({ engine, pod }: Lab): Promise<string[]> {
  return (await engine.containers.list()).map(({ id }) => id).filter((id) => id !== pod);
}

/** A container "one" that a shim before this one has made, and nobody was told of. */
async function leaveOne(lab: Lab): Promise<string> {
  lab.engine.faults.on("containers.create", { error: "unavailable", after: true, times: 1 });
  await fails(createOne(lab), Code.Unavailable, /./);
  const [id] = await others(lab);
  assert.ok(id);
  return id;
}

describe("creating a container under a name that is taken", () => {
  it("replaces one that was created and returned to no caller", async () => {
    await using lab = await openLab();
    const left = await leaveOne(lab);
    const { containerId } = await createOne(lab);
    assert.notEqual(containerId, left);
    assert.deepEqual(await others(lab), [containerId]);
    const { containers } = await lab.runtime.listContainers({});
    assert.deepEqual(
      containers.map(({ id }) => id),
      [containerId],
    );
  });

  it("replaces one that has exited", async () => {
    await using lab = await openLab();
    const { containerId: first } = await createOne(lab);
    await lab.runtime.startContainer({ containerId: first });
    await lab.runtime.stopContainer({ containerId: first, timeout: 1n });
    const { containerId } = await createOne(lab);
    assert.deepEqual(await others(lab), [containerId]);
  });

  it("leaves one that runs", async () => {
    await using lab = await openLab();
    const { containerId } = await createOne(lab);
    await lab.runtime.startContainer({ containerId });
    await fails(createOne(lab), Code.AlreadyExists, /is running.*another attempt number/);
    const { status } = await lab.runtime.containerStatus({ containerId });
    assert.equal(status?.state, ContainerState.CONTAINER_RUNNING);
  });

  it("leaves another program's container alone", async () => {
    await using lab = await openLab();
    const { id } = await lab.engine.containers.create({ name: dockerName, config: { image }, host: {} });
    await fails(createOne(lab), Code.AlreadyExists, /was not made by a CRI shim/);
    assert.deepEqual(await others(lab), [id]);
  });

  it("gets around a ghost that Docker's name table holds", async () => {
    await using lab = await openLab();
    const cause = new NameConflict(dockerName, "f".repeat(64));
    lab.engine.faults.on("containers.create", { error: "already-exists", cause, times: 2 });
    const { containerId } = await createOne(lab);
    const { status } = await lab.runtime.containerStatus({ containerId });
    assert.deepEqual([status?.metadata?.name, status?.metadata?.attempt], ["one", 0]);
    await lab.runtime.startContainer({ containerId });
  });

  it("returns the container to one of many callers, and never replaces a returned one", async () => {
    await using lab = await openLab();
    lab.engine.settings.timing.createMs = 5;
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => createOne(lab)));
    const made = results.flatMap((result) =>
      result.status === "fulfilled" ? [result.value.containerId] : [],
    );
    assert.equal(made.length, 1);
    assert.deepEqual(await others(lab), made);
    for (const result of results) {
      if (result.status === "rejected") assert.match(String(result.reason), /another call has just created/);
    }
    await lab.runtime.startContainer({ containerId: made[0] ?? "" });
  });
});

describe("a cancelled create", () => {
  it("leaves nothing, though Docker makes the container later", async () => {
    await using lab = await openLab();
    lab.engine.settings.timing.createMs = 60;
    const caller = new AbortController();
    const call = createOne(lab, caller.signal);
    await until(() => lab.engine.calls.count("containers.create") === 2);
    caller.abort();
    await fails(call, Code.Canceled, /./);
    await until(() => lab.lines.some(({ msg }) => msg.includes("whose create was cancelled")));
    await until(async () => (await others(lab)).length === 0);
    assert.deepEqual((await lab.runtime.listContainers({})).containers, []);
  });

  it("and comes again while the first create is in flight gets a container that stays", async () => {
    await using lab = await openLab();
    lab.engine.settings.timing.createMs = 60;
    const caller = new AbortController();
    const first = createOne(lab, caller.signal);
    await until(() => lab.engine.calls.count("containers.create") === 2);
    const gone = fails(first, Code.Canceled, /./);
    caller.abort();
    const { containerId } = await createOne(lab);
    await gone;
    await lab.runtime.startContainer({ containerId });
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(await others(lab), [containerId]);
  });

  it("before anything was asked of Docker makes nothing", async () => {
    await using lab = await openLab();
    const asked = lab.engine.calls.count("containers.create");
    await assert.rejects(createOne(lab, AbortSignal.abort()));
    assert.equal(lab.engine.calls.count("containers.create"), asked);
  });
});

describe("the requirements of a create on the node", () => {
  const mounts = [{ hostPath: "/data/new", containerPath: "/data" }];

  it("is made as an empty folder when it is missing, and logged", async () => {
    await using lab = await openLab();
    await lab.create(forever, { mounts });
    assert.equal(await lab.engine.host.files.kindOf("/data/new"), "directory");
    assert.ok(lab.lines.some(({ msg }) => msg.includes("with a missing host path")));
  });

  it("is refused when it is missing, if so configured", async () => {
    await using lab = await openLab({ missingHostPath: "refuse" });
    await fails(
      lab.create(forever, { mounts }),
      Code.FailedPrecondition,
      /host path \/data\/new of the mount at \/data cannot be used: it does not exist/,
    );
    assert.equal(await lab.engine.host.files.kindOf("/data/new"), undefined);
    assert.deepEqual(await others(lab), []);
  });

  it("is refused in both settings where it is unsupported", async () => {
    for (const missingHostPath of ["create", "refuse"] as const) {
      await using lab = await openLab({ missingHostPath });
      await lab.engine.host.files.writeAtomic("/data/file", "");
      lab.engine.host.tree.symlink("/nowhere", "/data/link");
      for (const hostPath of ["/data/link", "/data/file/below"]) {
        await fails(
          lab.create(forever, { mounts: [{ hostPath, containerPath: "/data" }] }),
          Code.FailedPrecondition,
          /the host path \/data\/.* cannot be used/,
        );
      }
      assert.deepEqual(await others(lab), []);
    }
  });

  it("is refused when a seccomp profile is missing, too large or no profile", async () => {
    await using lab = await openLab();
    const { files } = lab.engine.host;
    const withProfile = (localhostRef: string) =>
      lab.create(forever, {
        linux: {
          securityContext: { seccomp: { profileType: SecurityProfile_ProfileType.Localhost, localhostRef } },
        },
      });
    await fails(withProfile("/p/none.json"), Code.FailedPrecondition, /seccomp profile \/p\/none\.json/);
    await files.writeAtomic("/p/large.json", Buffer.alloc(4 * 1024 * 1024 + 1, " "));
    await fails(withProfile("/p/large.json"), Code.FailedPrecondition, /it has 4194305 bytes/);
    lab.engine.host.tree.special("/p/pipe");
    await fails(withProfile("/p/pipe"), Code.FailedPrecondition, /seccomp profile \/p\/pipe: EINVAL/);
    lab.engine.host.faults.on("files.read", { code: "EMFILE", path: "/p/good.json", times: 1 });
    await fails(withProfile("/p/good.json"), Code.ResourceExhausted, /too many open files.*LimitNOFILE/);
    lab.engine.host.faults.on("files.read", { delayMs: 60_000, path: "/p/hangs.json" });
    await fails(withProfile("/p/hangs.json"), Code.FailedPrecondition, /no answer within 10000 ms/);
    await files.writeAtomic("/p/bad.json", "not a profile");
    await assert.rejects(withProfile("/p/bad.json"), /seccomp/);
    await files.writeAtomic("/p/good.json", '{"defaultAction":"SCMP_ACT_ALLOW"}');
    const id = await withProfile("/p/good.json");
    const { host } = await lab.engine.containers.inspect(id);
    assert.ok(host.securityOpt?.some((option) => option.includes("SCMP_ACT_ALLOW")));
    assert.deepEqual(await others(lab), [id]);
  });

  it("is refused for an AppArmor profile on an engine without AppArmor", async () => {
    await using lab = await openLab();
    const securityContext = {
      apparmor: { profileType: SecurityProfile_ProfileType.Localhost, localhostRef: "mine" },
    };
    await assert.rejects(lab.create(forever, { linux: { securityContext } }), /apparmor/i);
    assert.deepEqual(await others(lab), []);
  });
});
