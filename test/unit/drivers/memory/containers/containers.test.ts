import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isKind, type ErrorKind } from "../../../../../src/base/index.js";
import type { DockerContainerConfig, DockerHostConfig } from "../../../../../src/docker/index.js";
import type { MemoryDocker, Program } from "../../../../../src/drivers/memory/index.js";
import { collect, create, engineWithBusybox, image, run, turns } from "../rig.js";

const text = async (engine: MemoryDocker, id: string) =>
  Buffer.concat(
    (await collect(engine.containers.logs(id, { follow: true }))).flat().map(({ data }) => data),
  ).toString();

describe("the memory engine's containers", () => {
  let engine: MemoryDocker;
  beforeEach(() => {
    engine = engineWithBusybox();
  });
  afterEach(async () => {
    await engine.close();
  });

  const refused: readonly [
    what: string,
    host: DockerHostConfig,
    config?: DockerContainerConfig,
    kind?: ErrorKind,
  ][] = [
    ["too little memory", { resources: { memoryBytes: 1 } }],
    ["swap below memory", { resources: { memoryBytes: 100e6, memorySwapBytes: 50e6 } }],
    ["swap without memory", { resources: { memorySwapBytes: 50e6 } }],
    ["a reservation above the limit", { resources: { memoryBytes: 50e6, memoryReservationBytes: 60e6 } }],
    ["a cpu period", { resources: { cpuPeriodMicros: 10 } }],
    ["a cpu quota", { resources: { cpuQuotaMicros: 10 } }],
    ["a cpu that is not there", { resources: { cpusetCpus: "0,9" } }],
    ["a cpu list", { resources: { cpusetCpus: "a-b" } }],
    ["a memory node that is not there", { resources: { cpusetMems: "1" } }],
    ["an oom score", { resources: { oomScoreAdj: 1001 } }],
    ["a host name beside another's network", { networkMode: "container:x" }, { hostname: "h" }],
    ["DNS beside another's network", { networkMode: "container:x", dns: ["192.0.2.1"] }],
    ["hosts beside another's network", { networkMode: "container:x", extraHosts: ["a:192.0.2.1"] }],
    [
      "ports beside another's network",
      { networkMode: "container:x", portBindings: [{ containerPort: 1, hostPort: 1, protocol: "tcp" }] },
    ],
    ["a host name in the host's UTS namespace", { utsMode: "host" }, { hostname: "h" }],
    ["the IPC of nobody", { ipcMode: "container:nobody" }],
    ["the processes of nobody", { pidMode: "container:nobody" }],
    ["an IPC mode", { ipcMode: "some" }],
    ["a runtime", { runtime: "nope" }],
    ["a log driver", { logConfig: { driver: "nope" } }],
    ["a security option", { securityOpt: ["nope=1"] }],
    ["a seccomp profile", { securityOpt: ["seccomp={"] }],
    ["a capability", { capDrop: ["NOPE"] }],
    ["CDI where it is off", { cdiDevices: ["vendor.example/gpu=0"] }],
    ["two mounts on one target", { mounts: [bind("/tmp", "/m"), bind("/usr", "/m/")] }],
    ["a mount on the root", { mounts: [bind("/tmp", "/")] }],
    ["a mount without its source", { mounts: [bind("/no/such", "/m")] }],
    ["a relative source", { mounts: [bind("tmp", "/m")] }],
    ["a bind", { binds: ["/tmp"] }],
    [
      "an image mount of nothing",
      { mounts: [{ type: "image", source: "nope:1", target: "/m" }] },
      {},
      "not-found",
    ],
    ["a restart policy", { restartPolicy: "always" }, {}, "unsupported"],
    ["an environment", {}, { env: ["=x"] }],
    ["a working directory", {}, { workingDir: "here" }],
    ["a stop signal", {}, { stopSignal: "SIGNOPE" }],
    ["no image", {}, { image: "" }],
  ];
  for (const [what, host, config = {}, kind = "invalid-argument"] of refused) {
    it(`are refused with ${what}`, async () => {
      await assert.rejects(create(engine, ["true"], { name: "refused", host, config }), (error) =>
        isKind(error, kind),
      );
      assert.deepEqual(await engine.containers.list(), []);
      await create(engine, ["true"], { name: "refused" });
    });
  }

  it("are refused a cgroup parent that systemd does not take", async () => {
    engine.settings.cgroupDriver = "systemd";
    const refusal = create(engine, ["true"], { host: { cgroupParent: "/kubepods" } });
    await assert.rejects(refusal, (error) => isKind(error, "invalid-argument"));
    await create(engine, ["true"], { host: { cgroupParent: "kubepods-burstable.slice" } });
  });

  it("with options that an older engine does not have are refused by it", async () => {
    engine.settings.apiVersion = [1, 41];
    const mount = { type: "image", source: "busybox:1.36", target: "/m" } as const;
    await assert.rejects(create(engine, ["true"], { host: { mounts: [mount] } }), (error) =>
      isKind(error, "unsupported"),
    );
    const missing = { ...bind("/made", "/m"), createMountpoint: true };
    await assert.rejects(create(engine, ["true"], { host: { mounts: [missing] } }), (error) =>
      isKind(error, "unsupported"),
    );
    engine.settings.apiVersion = [1, 48];
    await create(engine, ["true"], { host: { mounts: [mount] } });
    await create(engine, ["true"], { host: { mounts: [missing] } });
    assert.equal(await engine.host.files.kindOf("/made"), "directory");
  });

  it("have Docker's defaults", async () => {
    const { host, config } = await engine.containers.inspect(
      await create(engine, ["true"], { name: "defaults" }),
    );
    assert.equal(host.networkMode, "default");
    assert.equal(host.ipcMode, "private");
    assert.equal(host.runtime, "runc");
    assert.deepEqual(host.logConfig, { driver: "json-file", options: {} });
    assert.equal(host.shmSizeBytes, 67_108_864);
    assert.ok((host.maskedPaths?.length ?? 0) > 3);
    assert.match(config.hostname ?? "", /^[0-9a-f]{12}$/);
    const limited = await create(engine, ["true"], { host: { resources: { memoryBytes: 64e6 } } });
    assert.equal((await engine.containers.inspect(limited)).host.resources?.memorySwapBytes, 128e6);
  });

  it("cannot be given more memory than memory and swap", async () => {
    const id = await run(engine, ["sleep", "60"], { host: { resources: { memoryBytes: 64e6 } } });
    await assert.rejects(engine.containers.update(id, { memoryBytes: 256e6 }), (error) =>
      isKind(error, "invalid-argument"),
    );
    await engine.containers.update(id, { memoryBytes: 256e6, memorySwapBytes: 256e6 });
    assert.equal((await engine.containers.inspect(id)).host.resources?.memoryBytes, 256e6);
    await assert.rejects(engine.containers.update(id, { oomScoreAdj: 5 }), (error) =>
      isKind(error, "unsupported"),
    );
    const unlimited = await run(engine, ["sleep", "60"]);
    await assert.rejects(engine.containers.update(unlimited, { memoryBytes: 256e6 }), (error) =>
      isKind(error, "invalid-argument"),
    );
  });

  it("see mounted files of the node, and may be kept from writing", async () => {
    await engine.host.files.writeAtomic("/data/in", "from the node\n");
    const id = await run(
      engine,
      ["sh", "-c", "cat /ro/in; echo x > /rw/out; echo y >> /rw/out; echo z > /ro/no; echo w > /root"],
      {
        host: {
          mounts: [{ ...bind("/data", "/ro"), readonly: true }, bind("/data", "/rw")],
          readonlyRootfs: true,
        },
      },
    );
    const said = await text(engine, id);
    assert.match(said, /^from the node\n/);
    assert.equal(said.match(/EROFS/g)?.length, 2);
    assert.equal((await engine.host.files.read("/data/out")).toString(), "x\ny\n");
  });

  it("share the resolv.conf of the network that they join, as it stands on the node", async () => {
    const sandbox = await run(engine, ["sleep", "60"], {
      host: {
        networkMode: "none",
        dns: ["192.0.2.7"],
        dnsSearch: ["a.example", "b.example"],
        dnsOptions: ["ndots:5"],
      },
    });
    const { resolvConfPath, networkNamespacePath, name } = await engine.containers.inspect(sandbox);
    assert.ok(resolvConfPath !== undefined && networkNamespacePath !== undefined);
    assert.equal(await engine.host.files.kindOf(networkNamespacePath), "other");
    const guest = await run(engine, ["cat", "/etc/resolv.conf"], {
      host: { networkMode: `container:${name}` },
    });
    assert.equal(
      await text(engine, guest),
      "search a.example b.example\nnameserver 192.0.2.7\noptions ndots:5\n",
    );
    const seen = await engine.containers.inspect(guest);
    assert.equal(seen.host.networkMode, `container:${sandbox}`, "Docker keeps the id");
    assert.equal(seen.resolvConfPath, resolvConfPath);
    assert.equal(seen.config.hostname, sandbox.slice(0, 12));
    await engine.host.files.overwrite(resolvConfPath, "nameserver 192.0.2.8\n");
    await engine.containers.start(guest);
    assert.match(await text(engine, guest), /192\.0\.2\.8\n$/);
    await engine.containers.kill(sandbox);
    assert.equal(await engine.host.files.kindOf(networkNamespacePath), undefined);
  });

  it("get the lowest address of the bridge that is free", async () => {
    const address = async (id: string) => (await engine.containers.inspect(id)).networks[0]?.ipv4;
    const first = await run(engine, ["sleep", "60"]);
    const second = await run(engine, ["sleep", "60"]);
    assert.deepEqual([await address(first), await address(second)], ["172.17.0.2", "172.17.0.3"]);
    await engine.containers.kill(first);
    assert.equal(await address(first), undefined);
    assert.equal(await address(await run(engine, ["sleep", "60"])), "172.17.0.2");
  });

  it("need their devices, mounts and network when they start", async () => {
    const device = { hostPath: "/dev/thing", containerPath: "/dev/thing", permissions: "rwm" };
    const id = await create(engine, ["true"], { host: { devices: [device] } });
    await assert.rejects(engine.containers.start(id), (error) => isKind(error, "invalid-argument"));
    assert.equal((await engine.containers.inspect(id)).state.exitCode, 127);
    engine.host.tree.special("/dev/thing");
    await engine.containers.start(id);
    assert.equal((await engine.containers.inspect(id)).state.error, undefined);
    const lost = await create(engine, ["true"], { host: { networkMode: "nowhere" } });
    await assert.rejects(engine.containers.start(lost), (error) => isKind(error, "not-found"));
  });

  it("are copied: changes of arguments and results have no effect", async () => {
    const labels: Record<string, string> = { a: "1" };
    const id = await create(engine, ["true"], { config: { labels } });
    labels["a"] = "2";
    const answer = await engine.containers.inspect(id);
    assert.deepEqual(answer.config.labels, { a: "1" });
    Object.assign(answer.config.labels ?? {}, { a: "3" });
    assert.deepEqual((await engine.containers.inspect(id)).config.labels, { a: "1" });
  });

  it("keep the log that Docker's json-file driver would write, within its limits", async () => {
    const id = await run(engine, ["sh", "-c", "echo one; echo two >&2"]);
    await text(engine, id);
    const { logPath } = await engine.containers.inspect(id);
    const lines = (await engine.host.files.read(logPath ?? "")).toString().trimEnd().split("\n");
    const entries = lines.map((line) => JSON.parse(line) as { log: string; stream: string; time: string });
    assert.deepEqual(
      entries.map(({ log, stream }) => [log, stream]),
      [
        ["one\n", "stdout"],
        ["two\n", "stderr"],
      ],
    );
    assert.match(entries[0]?.time ?? "", /^\d{4}-\d\d-\d\dT[\d:]+\.\d{9}Z$/);
    const options = { "max-size": "1k", "max-file": "2" };
    const talk: Program = async ({ stdout }) => {
      for (let index = 0; index < 5000; index++) await stdout.write(`line ${index}\n`);
    };
    engine.load({ name: image, programs: { "/bin/talk": talk } });
    const small = await run(engine, ["talk"], { host: { logConfig: { driver: "json-file", options } } });
    const kept = (await text(engine, small), await text(engine, small));
    assert.ok(kept.length <= 2048 && kept.length > 1500, String(kept.length));
    assert.ok(kept.endsWith("line 4999\n"));
  });

  it("have terminals that echo, edit, interrupt and end", async () => {
    const id = await run(
      engine,
      ["sh", "-c", "read line; echo got $line; cat; trap 'exit 3' INT; sleep 60 & wait"],
      {
        config: { tty: true, openStdin: true },
      },
    );
    const stream = await engine.containers.attach(id, { stdin: true, stdout: true, stderr: true, tty: true });
    await stream.write(Buffer.from("ab\x7fc\r"));
    await turns();
    await stream.write(Buffer.from("x\n\x04"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await stream.write(Buffer.from("\x03"));
    const output = Buffer.concat((await collect(stream.output)).map(({ data }) => data)).toString();
    assert.equal(output, "ab\b \bc\r\ngot ac\r\nx\r\nx\r\n^C\r\n");
    assert.equal((await engine.containers.inspect(id)).state.exitCode, 3);
  });

  it("block a program whose output is not read, and let it end when the reader goes", async () => {
    let written = 0;
    const pour: Program = async ({ stdout }) => {
      for (let block = 0; block < 100; block++) {
        await stdout.write(Buffer.alloc(16 * 1024));
        written += 16 * 1024;
      }
    };
    engine.load({ name: image, programs: { "/bin/pour": pour } });
    const id = await run(engine, ["sleep", "60"]);
    const spec = { command: ["pour"], tty: false, stdin: false, stdout: true, stderr: true };
    const execId = await engine.execs.create(id, spec);
    const stream = await engine.execs.start(execId, { tty: false });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(written <= 128 * 1024, String(written));
    assert.equal((await engine.execs.inspect(execId)).running, true);
    stream.destroy();
    const state = () => engine.execs.inspect(execId);
    while ((await state()).running) await turns();
    assert.equal((await state()).exitCode, 0);
  });

  it("do not keep every exec that ever was", async () => {
    const id = await run(engine, ["sleep", "60"]);
    const spec = { command: ["true"], tty: false, stdin: false, stdout: true, stderr: true };
    const ids: string[] = [];
    for (let index = 0; index < 300; index++) {
      const execId = await engine.execs.create(id, spec);
      await collect((await engine.execs.start(execId, { tty: false })).output);
      ids.push(execId);
    }
    await assert.rejects(engine.execs.inspect(ids[0] ?? ""), (error) => isKind(error, "not-found"));
    assert.equal((await engine.execs.inspect(ids.at(-1) ?? "")).exitCode, 0);
    assert.deepEqual((await engine.containers.inspect(id)).execIds, []);
  });
});

function bind(source: string, target: string) {
  return { type: "bind", source, target } as const;
}
