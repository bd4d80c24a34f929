import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isKind } from "../../../../../src/base/index.js";
import type { DockerContainerSpec, DockerMount } from "../../../../../src/docker/index.js";
import { encodeContainer } from "../../../../../src/drivers/dockerode/encode/container.js";
import { encodeAuth, encodePull } from "../../../../../src/drivers/dockerode/encode/pull.js";
import { encodeTime, imagePath, pathOf } from "../../../../../src/drivers/dockerode/encode/request.js";
import { encodeResources } from "../../../../../src/drivers/dockerode/encode/resources.js";
import { failsWith } from "../fake-engine.js";

const spec = (host: DockerContainerSpec["host"]): DockerContainerSpec => ({ name: "a", config: {}, host });
const hostOf = (host: DockerContainerSpec["host"], minor = 48) =>
  (JSON.parse(JSON.stringify(encodeContainer(spec(host), [1, minor]))) as { HostConfig: unknown }).HostConfig;

describe("encodeContainer", () => {
  it("omits absent fields", () => {
    assert.deepEqual(encodeContainer(spec({}), [1, 41]), { HostConfig: {} });
  });

  it("writes every field of the configuration", () => {
    const config: Required<DockerContainerSpec["config"]> = {
      image: "busybox",
      hostname: "h",
      domainname: "d",
      user: "1:2",
      entrypoint: [],
      command: ["a", ""],
      env: ["A=1", "A=2"],
      workingDir: "/w",
      labels: { a: "" },
      tty: true,
      openStdin: true,
      stdinOnce: false,
      stopSignal: "SIGINT",
      exposedPorts: ["80/tcp", "53/udp"],
      healthcheckDisabled: true,
    };
    assert.deepEqual(encodeContainer({ name: "a", config, host: {} }, [1, 41]), {
      Image: "busybox",
      Hostname: "h",
      Domainname: "d",
      User: "1:2",
      Entrypoint: [],
      Cmd: ["a", ""],
      Env: ["A=1", "A=2"],
      WorkingDir: "/w",
      Labels: { a: "" },
      Tty: true,
      OpenStdin: true,
      StdinOnce: false,
      StopSignal: "SIGINT",
      ExposedPorts: { "80/tcp": {}, "53/udp": {} },
      Healthcheck: { Test: ["NONE"] },
      HostConfig: {},
    });
  });

  it("writes every field of the node's half", () => {
    const host: Required<DockerContainerSpec["host"]> = {
      networkMode: "container:x",
      ipcMode: "shareable",
      pidMode: "host",
      utsMode: "host",
      usernsMode: "host",
      init: false,
      privileged: true,
      readonlyRootfs: true,
      capAdd: ["ALL"],
      capDrop: [],
      groupAdd: ["5"],
      securityOpt: ["no-new-privileges"],
      maskedPaths: [],
      readonlyPaths: [],
      sysctls: { "net.ipv4.ip_forward": "1" },
      mounts: [{ type: "tmpfs", source: "", target: "/t" }],
      binds: ["/a:/b:ro"],
      tmpfs: { "/t": "size=1m" },
      devices: [{ hostPath: "/dev/null", containerPath: "/dev/n", permissions: "rw" }],
      cdiDevices: ["v.example/gpu=0"],
      cgroupParent: "/kubepods",
      cgroupnsMode: "host",
      resources: { memoryBytes: 1 },
      shmSizeBytes: 2,
      runtime: "runc",
      logConfig: { driver: "json-file" },
      portBindings: [
        { containerPort: 80, protocol: "tcp", hostPort: 8080 },
        { containerPort: 80, protocol: "tcp", hostPort: 8081, hostIp: "::1" },
        { containerPort: 80, protocol: "sctp", hostPort: 1 },
      ],
      restartPolicy: "no",
      dns: ["1.1.1.1"],
      dnsSearch: [],
      dnsOptions: ["ndots:5"],
      extraHosts: ["a:1.2.3.4"],
    };
    assert.deepEqual(hostOf(host), {
      NetworkMode: "container:x",
      IpcMode: "shareable",
      PidMode: "host",
      UTSMode: "host",
      UsernsMode: "host",
      Init: false,
      Privileged: true,
      ReadonlyRootfs: true,
      CapAdd: ["ALL"],
      CapDrop: [],
      GroupAdd: ["5"],
      SecurityOpt: ["no-new-privileges"],
      MaskedPaths: [],
      ReadonlyPaths: [],
      Sysctls: { "net.ipv4.ip_forward": "1" },
      Mounts: [{ Type: "tmpfs", Target: "/t" }],
      Binds: ["/a:/b:ro"],
      Tmpfs: { "/t": "size=1m" },
      Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/n", CgroupPermissions: "rw" }],
      DeviceRequests: [{ Driver: "cdi", DeviceIDs: ["v.example/gpu=0"] }],
      CgroupParent: "/kubepods",
      CgroupnsMode: "host",
      Memory: 1,
      ShmSize: 2,
      Runtime: "runc",
      LogConfig: { Type: "json-file", Config: {} },
      PortBindings: {
        "80/tcp": [
          { HostIp: "", HostPort: "8080" },
          { HostIp: "::1", HostPort: "8081" },
        ],
        "80/sctp": [{ HostIp: "", HostPort: "1" }],
      },
      RestartPolicy: { Name: "no" },
      Dns: ["1.1.1.1"],
      DnsSearch: [],
      DnsOptions: ["ndots:5"],
      ExtraHosts: ["a:1.2.3.4"],
    });
  });

  it("writes mounts of each type", () => {
    const mounts: DockerMount[] = [
      {
        type: "bind",
        source: "/a",
        target: "/b",
        readonly: true,
        propagation: "rslave",
        createMountpoint: true,
      },
      { type: "bind", source: "/a", target: "/b", readonlyNonRecursive: true },
      { type: "bind", source: "/a", target: "/b", readonlyForceRecursive: true },
      { type: "image", source: "i", target: "/i", imageSubpath: "sub" },
      { type: "volume", source: "v", target: "/v", readonly: false },
    ];
    assert.deepEqual(hostOf({ mounts }), {
      Mounts: [
        {
          Type: "bind",
          Source: "/a",
          Target: "/b",
          ReadOnly: true,
          BindOptions: { Propagation: "rslave", CreateMountpoint: true },
        },
        { Type: "bind", Source: "/a", Target: "/b", BindOptions: { ReadOnlyNonRecursive: true } },
        { Type: "bind", Source: "/a", Target: "/b", BindOptions: { ReadOnlyForceRecursive: true } },
        { Type: "image", Source: "i", Target: "/i", ImageOptions: { Subpath: "sub" } },
        { Type: "volume", Source: "v", Target: "/v", ReadOnly: false },
      ],
    });
  });

  const newer: readonly (readonly [what: DockerContainerSpec["host"], before: number, since: number])[] = [
    [{ mounts: [{ type: "bind", source: "/a", target: "/b", createMountpoint: true }] }, 41, 42],
    [{ mounts: [{ type: "bind", source: "/a", target: "/b", readonlyForceRecursive: true }] }, 43, 44],
    [{ cdiDevices: ["v.example/gpu=0"] }, 43, 44],
    [{ mounts: [{ type: "image", source: "i", target: "/i" }] }, 47, 48],
  ];
  for (const [what, before, since] of newer)
    it(`refuses before API 1.${since} what Docker would ignore: ${JSON.stringify(what).slice(0, 90)}`, () => {
      assert.throws(
        () => encodeContainer(spec(what), [1, before]),
        failsWith("unsupported", `API 1.${since}`),
      );
      assert.doesNotThrow(() => encodeContainer(spec(what), [1, since]));
    });

  it("leaves a plain read-only mount plain where all of them are", () => {
    const mounts: DockerMount[] = [{ type: "bind", source: "/a", target: "/b", readonlyNonRecursive: true }];
    assert.deepEqual(hostOf({ mounts, cdiDevices: [] }, 41), {
      Mounts: [{ Type: "bind", Source: "/a", Target: "/b" }],
    });
  });
});

describe("encodeResources", () => {
  it("writes each limit that is there, 0 and -1 too", () => {
    assert.deepEqual(
      encodeResources({ cpuShares: 2, memorySwapBytes: -1, cpuQuotaMicros: 0, cpusetCpus: "" }),
      {
        CpuShares: 2,
        MemorySwap: -1,
        CpuQuota: 0,
        CpusetCpus: "",
      },
    );
    assert.deepEqual(encodeResources({}), {});
  });
});

describe("encodePull", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const cases: readonly (readonly [reference: string, fromImage: string, tag: string])[] = [
    ["busybox", "busybox", "latest"],
    ["busybox:1.36", "busybox", "1.36"],
    ["localhost:5000/a/b", "localhost:5000/a/b", "latest"],
    ["localhost:5000/a/b:c", "localhost:5000/a/b", "c"],
    [`r.example/a@${digest}`, "r.example/a", digest],
    [`r.example:1/a:b@${digest}`, "r.example:1/a", digest],
  ];
  for (const [reference, fromImage, tag] of cases)
    it(`takes ${reference} apart`, () => {
      assert.deepEqual(encodePull(reference), { fromImage, tag });
    });

  it("refuses an invalid reference", () => {
    for (const reference of ["", digest, "a".repeat(64)])
      assert.throws(() => encodePull(reference), failsWith("invalid-argument"));
  });
});

describe("encodeAuth", () => {
  const decoded = (header: string): unknown => JSON.parse(Buffer.from(header, "base64url").toString());

  it("is an empty object without credentials, padded, in the alphabet of URLs", () => {
    assert.deepEqual(decoded(encodeAuth(undefined)), {});
    const auth = {
      username: "ü>?~",
      password: "p?>~ÿ",
      serverAddress: "s",
      identityToken: "i",
      registryToken: "r",
    };
    const header = encodeAuth(auth);
    assert.match(header, /^[\w-]+={0,2}$/);
    assert.equal(header.length % 4, 0);
    assert.deepEqual(decoded(header), {
      username: "ü>?~",
      password: "p?>~ÿ",
      serveraddress: "s",
      identitytoken: "i",
      registrytoken: "r",
    });
  });
});

describe("paths", () => {
  it("hold any name without leaving their place", () => {
    assert.equal(pathOf("x", "a/b?c#d%", "e f"), "/a%2Fb%3Fc%23d%25/e%20f");
    assert.equal(
      imagePath("x", "r.example:5000/a/b:c@sha256:d", "json"),
      "/images/r.example:5000/a/b:c%40sha256:d/json",
    );
  });

  it("refuse parts that would be another path", () => {
    for (const part of ["", ".", "..", "a\0b", "\ud800"])
      assert.throws(
        () => pathOf("containers.start", part),
        (error) => isKind(error, "invalid-argument"),
        JSON.stringify(part),
      );
    for (const reference of ["", "a//b", "../x", "a/../b"])
      assert.throws(() => imagePath("images.inspect", reference), failsWith("invalid-argument"));
  });
});

describe("encodeTime", () => {
  it("writes seconds with nine decimals", () => {
    assert.equal(encodeTime(1_795_470_938_000_000_007n), "1795470938.000000007");
    assert.equal(encodeTime(0n), "0.000000000");
    assert.equal(encodeTime(-5n), "0.000000000");
  });
});
