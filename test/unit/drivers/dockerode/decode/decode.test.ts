import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  decodeContainer,
  decodeContainerList,
  decodeCreated,
} from "../../../../../src/drivers/dockerode/decode/container.js";
import { decodeEvent } from "../../../../../src/drivers/dockerode/decode/event.js";
import { decodeExecId, decodeExecState } from "../../../../../src/drivers/dockerode/decode/exec.js";
import {
  decodeHistory,
  decodeImage,
  decodeImageList,
  decodeProgress,
} from "../../../../../src/drivers/dockerode/decode/image.js";
import { decodeInfo, decodeVersion } from "../../../../../src/drivers/dockerode/decode/system.js";
import { DaemonError, Malformed } from "../../../../../src/drivers/dockerode/failures.js";
import { someId } from "../fake-engine.js";

const decoders: Readonly<Record<string, (json: unknown) => unknown>> = {
  decodeContainer,
  decodeContainerList,
  decodeCreated,
  decodeExecId,
  decodeExecState,
  decodeHistory,
  decodeImage,
  decodeImageList,
  decodeInfo,
  decodeVersion,
  decodeProgress,
  decodeEvent: (json) => decodeEvent(JSON.stringify(json)),
};

/** Every name that a decoder looks for, so that random values land where they hurt. */
const names = (
  "Id ID Names Name Image ImageID Labels State Created NetworkSettings Networks SandboxKey Mounts Config HostConfig " +
  "Status Running Pid ExitCode StartedAt Entrypoint Cmd Env ExposedPorts Healthcheck Test Destination Source RW Type " +
  "PortBindings HostPort Devices PathOnHost DeviceRequests Driver DeviceIDs LogConfig RestartPolicy BindOptions Target " +
  "RepoTags RepoDigests Size RootFS Layers Volumes status progressDetail errorDetail error message id current total " +
  "Actor Attributes Action time timeNano Runtimes DriverStatus CgroupVersion Warnings ExecIDs Version ApiVersion"
).split(" ");

const hostile = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom<unknown>(
      null,
      true,
      0,
      -1,
      1e308,
      "",
      "<none>:<none>",
      "0001-01-01T00:00:00Z",
      "__proto__",
    ),
    fc.constant(someId),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.constant("__proto__"), fc.string()), tie("value"), {
      maxKeys: 8,
    }),
  ),
})).value;

describe("decoders", () => {
  for (const [name, decode] of Object.entries(decoders))
    it(`${name} takes any JSON: a value, or a clear refusal`, () => {
      fc.assert(
        fc.property(hostile, (json) => {
          try {
            decode(json);
          } catch (error) {
            assert.ok(error instanceof Malformed || error instanceof DaemonError, String(error));
          }
        }),
        { numRuns: 300 },
      );
    });

  it("refuse a malformed answer", () => {
    assert.throws(() => decodeContainer(null), Malformed);
    assert.throws(() => decodeContainer({ Id: "../../etc" }), Malformed);
    assert.throws(() => decodeContainerList({}), Malformed);
    assert.throws(() => decodeContainerList([null]), Malformed);
    assert.throws(() => decodeEvent("{nonsense"), Malformed);
  });
});

describe("decodeContainer", () => {
  const least = { Id: someId };

  it("requires only an id", () => {
    assert.deepEqual(decodeContainer(least), {
      id: someId,
      name: "",
      state: { running: false, paused: false, oomKilled: false, dead: false },
      config: {},
      host: { resources: {} },
      mounts: [],
      networks: [],
      execIds: [],
    });
  });

  it("omits Docker's placeholders for empty values", () => {
    const container = decodeContainer({
      ...least,
      Name: "/k8s_a",
      Created: "2026-01-02T03:04:05.000000007Z",
      State: {
        Status: "created",
        Pid: 0,
        Error: "",
        StartedAt: "0001-01-01T00:00:00Z",
        FinishedAt: "0001-01-01T00:00:00Z",
      },
      HostConfig: {
        Memory: 0,
        MemorySwap: -1,
        PidsLimit: null,
        CpuQuota: -1,
        OomScoreAdj: -998,
        MaskedPaths: null,
      },
      NetworkSettings: {
        SandboxKey: "",
        Networks: { none: { IPAddress: "", GlobalIPv6Address: "fd00::2" }, bad: null },
      },
      ExecIDs: null,
      Mounts: [{ Destination: "/x", RW: true, Source: "/y", Propagation: "" }, { Source: "/no-target" }, 7],
    });
    assert.equal(container.name, "k8s_a");
    assert.equal(container.createdAtNanos, 1767323045000000007n);
    assert.deepEqual(container.state, {
      status: "created",
      running: false,
      paused: false,
      oomKilled: false,
      dead: false,
    });
    assert.deepEqual(container.host, { resources: { memorySwapBytes: -1, oomScoreAdj: -998 } });
    assert.deepEqual(container.networks, [{ network: "none", ipv6: "fd00::2" }]);
    assert.deepEqual(container.mounts, [{ source: "/y", target: "/x", writable: true }]);
    assert.ok(!("networkNamespacePath" in container));
  });

  it("treats a value of the wrong type as absent", () => {
    const { config, host, state } = decodeContainer({
      ...least,
      State: { Running: "yes", ExitCode: "1", Pid: "12" },
      Config: {
        Cmd: "sh",
        Env: ["A=1", 2, null],
        Labels: { a: "b", c: 3 },
        Tty: 1,
        ExposedPorts: ["80/tcp"],
      },
      HostConfig: { Binds: {}, Privileged: "no", PortBindings: { "80/tcp": [{ HostPort: "x" }], odd: [{}] } },
    });
    assert.deepEqual(state, { running: false, paused: false, oomKilled: false, dead: false });
    assert.deepEqual(config, { env: ["A=1"], labels: { a: "b" } });
    assert.deepEqual(host, { resources: {} });
  });

  it("keeps a label called __proto__ as a label", () => {
    const { config } = decodeContainer({
      ...least,
      Config: { Labels: JSON.parse('{"__proto__":"x"}') as unknown },
    });
    assert.deepEqual(Object.entries(config.labels ?? {}), [["__proto__", "x"]]);
  });

  it("reads the shim's own output", () => {
    const { host, config } = decodeContainer({
      ...least,
      Config: { Healthcheck: { Test: ["NONE"] }, ExposedPorts: { "80/tcp": {} }, Entrypoint: ["/pause"] },
      HostConfig: {
        MaskedPaths: [],
        Mounts: [
          {
            Type: "bind",
            Source: "/a",
            Target: "/b",
            ReadOnly: true,
            BindOptions: { Propagation: "rslave" },
          },
          { Type: "cluster", Target: "/c" },
        ],
        Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/n", CgroupPermissions: "rwm" }, {}],
        DeviceRequests: [{ Driver: "cdi", DeviceIDs: ["v.example/gpu=0"] }, { Driver: "nvidia" }],
        PortBindings: { "53/udp": [{ HostIp: "::1", HostPort: "5353" }] },
        LogConfig: { Type: "local", Config: { "max-size": "1m" } },
        RestartPolicy: { Name: "no" },
      },
    });
    assert.deepEqual(config, { healthcheckDisabled: true, exposedPorts: ["80/tcp"], entrypoint: ["/pause"] });
    assert.deepEqual(host, {
      maskedPaths: [],
      mounts: [{ type: "bind", source: "/a", target: "/b", readonly: true, propagation: "rslave" }],
      devices: [{ hostPath: "/dev/null", containerPath: "/dev/n", permissions: "rwm" }],
      cdiDevices: ["v.example/gpu=0"],
      resources: {},
      logConfig: { driver: "local", options: { "max-size": "1m" } },
      portBindings: [{ containerPort: 53, protocol: "udp", hostPort: 5353, hostIp: "::1" }],
      restartPolicy: "no",
    });
  });
});

describe("decodeContainerList", () => {
  it("takes null for an empty list, and drops the names of old links", () => {
    assert.deepEqual(decodeContainerList(null), []);
    assert.deepEqual(
      decodeContainerList([{ Id: someId, Names: ["/a", "/b/a"], State: "odd", Labels: null }]),
      [{ id: someId, names: ["a"], labels: {}, mounts: [] }],
    );
  });
});

describe("images", () => {
  it("have no <none> among their names, and no size that was not counted", () => {
    assert.deepEqual(
      decodeImageList([
        {
          Id: "sha256:1",
          RepoTags: ["<none>:<none>"],
          RepoDigests: ["a@<none>", "a@sha256:2"],
          Size: 3,
          SharedSize: -1,
        },
        { Id: "sha256:2", RepoTags: null, RepoDigests: null, Labels: { a: "b" }, Created: 5 },
      ]),
      [
        { id: "sha256:1", repoTags: [], repoDigests: ["a@sha256:2"], sizeBytes: 3, labels: {} },
        { id: "sha256:2", repoTags: [], repoDigests: [], createdAtSeconds: 5, labels: { a: "b" } },
      ],
    );
    assert.throws(() => decodeImageList([{ RepoTags: [] }]), Malformed);
    const byDigest = `r.example/a@sha256:${"a".repeat(64)}`;
    const [listed] = decodeImageList([{ Id: "sha256:1", RepoTags: [byDigest], RepoDigests: [byDigest] }]);
    assert.deepEqual([listed?.repoTags, listed?.repoDigests], [[], [byDigest]]);
    const inspected = decodeImage({ Id: "sha256:1", RepoTags: [byDigest, "r.example/a:1"] });
    assert.deepEqual([inspected.repoTags, inspected.repoDigests], [["r.example/a:1"], [byDigest]]);
  });

  it("need no config", () => {
    assert.deepEqual(decodeImage({ Id: "sha256:1", Config: null, RootFS: {} }), {
      id: "sha256:1",
      repoTags: [],
      repoDigests: [],
      config: {},
      layers: [],
    });
  });

  it("report progress, skip other messages, and end with Docker's reason", () => {
    assert.deepEqual(
      decodeProgress({ status: "Downloading", id: "ab", progressDetail: { current: 0, total: 9 } }),
      {
        status: "Downloading",
        layer: "ab",
        currentBytes: 0,
        totalBytes: 9,
      },
    );
    assert.equal(decodeProgress({ aux: {} }), undefined);
    assert.throws(() => decodeProgress({ error: "a", errorDetail: { message: "b" } }), new DaemonError("b"));
    assert.throws(() => decodeProgress({ error: "a" }), new DaemonError("a"));
    assert.throws(() => decodeProgress({ errorDetail: { code: 1 } }), DaemonError);
  });
});

describe("decodeEvent", () => {
  it("keeps every nanosecond, and cuts what follows the colon", () => {
    const line =
      '{"status":"exec_create: sh -c x","id":"i","Type":"container","Action":"exec_create: sh -c x",' +
      `"Actor":{"ID":"${someId}","Attributes":{"name":"a","n":1}},"time":1795470938,"timeNano":1795470938136159391}`;
    assert.deepEqual(decodeEvent(line), {
      type: "container",
      action: "exec_create",
      subject: someId,
      timeNanos: 1795470938136159391n,
      attributes: { name: "a" },
    });
  });

  it("is not misled by a label that looks like the time", () => {
    const event = {
      Type: "network",
      Action: "connect",
      Actor: { ID: "n", Attributes: { x: '"timeNano":1,', timeNano: "2" } },
      time: 3,
    };
    assert.equal(decodeEvent(JSON.stringify(event)).timeNanos, 3_000_000_000n);
    assert.equal(decodeEvent(JSON.stringify({ ...event, timeNano: 4 })).timeNanos, 4n);
    assert.equal(decodeEvent(JSON.stringify(event)).type, "other");
  });
});

describe("execs", () => {
  it("have no exit code while they run", () => {
    assert.deepEqual(decodeExecState({ Running: true, ExitCode: 0, Pid: 7 }), { running: true, pid: 7 });
    assert.deepEqual(decodeExecState({ Running: false, ExitCode: 3, Pid: 0 }), {
      running: false,
      exitCode: 3,
    });
    assert.deepEqual(decodeExecState({ Running: true, ExitCode: null }), { running: true });
  });
});

describe("decodeInfo", () => {
  it("reads the store, the runtimes' features and the cgroup version", () => {
    const features = JSON.stringify({ mountOptions: ["rro", "ro"] });
    const info = decodeInfo({
      CgroupVersion: "2",
      CgroupDriver: "systemd",
      DriverStatus: [["driver-type", "io.containerd.snapshotter.v1"], "odd", null],
      Runtimes: {
        runc: { path: "runc", status: { "org.opencontainers.runtime-spec.features": features } },
        odd: { status: { "org.opencontainers.runtime-spec.features": "{not json" } },
        none: null,
      },
    });
    assert.equal(info.cgroupVersion, 2);
    assert.equal(info.cgroupDriver, "systemd");
    assert.equal(info.containerdImageStore, true);
    assert.deepEqual(info.runtimes, [
      { name: "runc", mountOptions: ["rro", "ro"] },
      { name: "odd" },
      { name: "none" },
    ]);
  });

  it("accepts an engine with few fields", () => {
    assert.deepEqual(decodeInfo({ CgroupVersion: 1, DriverStatus: null }), {
      containerdImageStore: false,
      runtimes: [],
      securityOptions: [],
      warnings: [],
    });
  });
});
