import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ErrorKind } from "../../../src/base/index.js";
import type { DockerContainerConfig, DockerHostConfig } from "../../../src/docker/index.js";
import {
  NamespaceMode,
  PodSandboxConfigSchema,
  Protocol,
  SecurityProfile_ProfileType as ProfileType,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { resolvConf, sandboxSpec, type EngineEnvironment } from "../../../src/translate/index.js";
import { environment } from "./engine-environment.js";
import { refuses, unknownEnum } from "./refuses.js";

type Init = Exclude<MessageInitShape<typeof PodSandboxConfigSchema>, { $typeName: string }>;
const metadata = { name: "web-0", namespace: "shop", uid: "1f-2e", attempt: 3 };
const image = "registry.k8s.io/pause:3.10";

function spec(init: Init, env: Partial<EngineEnvironment> = {}, handler = "", seccompProfile?: string) {
  const config = create(PodSandboxConfigSchema, { metadata, ...init });
  return sandboxSpec(config, handler, image, environment(env), { seccompProfile });
}

const context = (securityContext: object): Init => ({ linux: { securityContext } });

describe("a sandbox's spec", () => {
  it("is whole for a pod of few words", () => {
    assert.deepEqual(spec({}), {
      name: "k8s_POD_web-0_shop_1f-2e_3",
      config: {
        image,
        labels: {
          "io.kubernetes.docker.type": "podsandbox",
          "io.kubernetes.container.name": "POD",
          "io.kubernetes.docker.pid-namespace": "pod",
          "io.kubernetes.docker.metadata":
            '{"pod":{"name":"web-0","namespace":"shop","uid":"1f-2e","attempt":3}}',
        },
        healthcheckDisabled: true,
      },
      host: {
        networkMode: "none",
        ipcMode: "shareable",
        init: false,
        securityOpt: ["no-new-privileges"],
        resources: { cpuShares: 2, oomScoreAdj: -998 },
        shmSizeBytes: 67_108_864,
        restartPolicy: "no",
      },
    });
  });

  const { NODE } = NamespaceMode;
  const ports = [
    { protocol: Protocol.TCP, containerPort: 80, hostPort: 8080, hostIp: "127.0.0.1" },
    { protocol: Protocol.UDP, containerPort: 53, hostPort: 53 },
    { protocol: Protocol.SCTP, containerPort: 9, hostPort: 0 },
  ];
  type Case = [
    name: string,
    init: Init,
    expected: { config?: DockerContainerConfig; host?: DockerHostConfig },
    env?: Partial<EngineEnvironment>,
    handler?: string,
  ];
  const cases: Case[] = [
    ["hostname", { hostname: "web-0" }, { config: { hostname: "web-0" } }],
    [
      "hostname on the node's network",
      { ...context({ namespaceOptions: { network: NamespaceMode.NODE } }), hostname: "node-1" },
      { host: { networkMode: "host" } },
    ],
    ["runtime_handler", {}, { host: { runtime: "kata" } }, {}, "kata"],
    [
      "linux.cgroup_parent",
      { linux: { cgroupParent: "/kubepods/podx" } },
      { host: { cgroupParent: "/kubepods/podx" } },
    ],
    [
      "linux.cgroup_parent under systemd",
      { linux: { cgroupParent: "/kubepods.slice/kubepods-podx.slice" } },
      { host: { cgroupParent: "kubepods-podx.slice" } },
      { cgroupDriver: "systemd" },
    ],
    [
      "linux.sysctls",
      { linux: { sysctls: { "net.ipv4.ip_forward": "1" } } },
      { host: { sysctls: { "net.ipv4.ip_forward": "1" } } },
    ],
    [
      "linux.resources and overhead, which the kubelet applies",
      { linux: { resources: { memoryLimitInBytes: 9n }, overhead: { cpuShares: 9n } } },
      { host: { resources: { cpuShares: 2, oomScoreAdj: -998 } } },
    ],
    [
      "the oom score's floor",
      {},
      { host: { resources: { cpuShares: 2, oomScoreAdj: -500 } } },
      { oomScoreAdjFloor: -500 },
    ],
    [
      "run_as_user and run_as_group",
      { linux: { securityContext: { runAsUser: { value: 1000n }, runAsGroup: { value: 0n } } } },
      { config: { user: "1000:0" } },
    ],
    [
      "readonly_rootfs",
      { linux: { securityContext: { readonlyRootfs: true } } },
      { host: { readonlyRootfs: true } },
    ],
    [
      "supplemental_groups",
      { linux: { securityContext: { supplementalGroups: [5n] } } },
      { host: { groupAdd: ["5"] } },
    ],
    [
      "privileged, which is the containers'",
      { linux: { securityContext: { privileged: true } } },
      { host: { securityOpt: ["no-new-privileges"] } },
    ],
    [
      "selinux_options",
      { linux: { securityContext: { selinuxOptions: { level: "s0" } } } },
      { host: { securityOpt: ["label=level:s0", "no-new-privileges"] } },
    ],
    [
      "apparmor",
      { linux: { securityContext: { apparmor: { profileType: ProfileType.Unconfined } } } },
      { host: { securityOpt: ["apparmor=unconfined", "no-new-privileges"] } },
    ],
    [
      "seccomp RuntimeDefault",
      { linux: { securityContext: { seccomp: { profileType: ProfileType.RuntimeDefault } } } },
      { host: { securityOpt: ["no-new-privileges"] } },
    ],
    [
      "seccomp Unconfined",
      { linux: { securityContext: { seccomp: { profileType: ProfileType.Unconfined } } } },
      { host: { securityOpt: ["no-new-privileges", "seccomp=unconfined"] } },
    ],
    [
      "the node's namespaces",
      { linux: { securityContext: { namespaceOptions: { network: NODE, pid: NODE, ipc: NODE } } } },
      { host: { networkMode: "host", pidMode: "host", ipcMode: "host" } },
    ],
    [
      "port_mappings on Docker's network",
      { portMappings: ports },
      {
        config: { exposedPorts: ["80/tcp", "53/udp"] },
        host: {
          networkMode: "default",
          portBindings: [
            { protocol: "tcp", containerPort: 80, hostPort: 8080, hostIp: "127.0.0.1" },
            { protocol: "udp", containerPort: 53, hostPort: 53 },
          ],
        },
      },
      { networkMode: "default" },
    ],
    [
      "the node's user namespace under userns-remap",
      {},
      { host: { usernsMode: "host" } },
      { usernsRemapped: true },
    ],
    ["the log driver", {}, { host: { logConfig: { driver: "local" } } }, { logConfig: { driver: "local" } }],
  ];
  for (const [name, init, expected, env, handler] of cases) {
    it(`maps ${name}`, () => {
      const made = spec(init, env, handler);
      assert.deepEqual({ ...made.config, ...expected.config }, made.config);
      assert.deepEqual({ ...made.host, ...expected.host }, made.host);
    });
  }

  it("does not make the sandbox privileged", () => {
    assert.equal(spec({ linux: { securityContext: { privileged: true } } }).host.privileged, undefined);
  });

  it("opens no ports where CNI does, or the node's network is used", () => {
    const onNode = { linux: { securityContext: { namespaceOptions: { network: NODE } } } };
    for (const made of [spec({ portMappings: ports }), spec({ portMappings: ports, ...onNode })]) {
      assert.equal(made.host.portBindings, undefined);
      assert.equal(made.config.exposedPorts, undefined);
    }
  });

  it("holds the content of a seccomp file", () => {
    const seccomp = { profileType: ProfileType.Localhost, localhostRef: "/p.json" };
    const content = '{"defaultAction":"SCMP_ACT_ERRNO"}';
    assert.deepEqual(spec({ linux: { securityContext: { seccomp } } }, {}, "", content).host.securityOpt, [
      "no-new-privileges",
      `seccomp=${content}`,
    ]);
  });

  const refusals: [ErrorKind, RegExp, Init, Partial<EngineEnvironment>?, string?][] = [
    ["invalid-argument", /config\.hostname is longer than 64/, { hostname: "h".repeat(65) }],
    ["invalid-argument", /config\.hostname contains a NUL/, { hostname: "h\0" }],
    [
      "invalid-argument",
      /config\.hostname is "web-0", but on the node's network a pod has the node's host name, "node-1"/,
      { ...context({ namespaceOptions: { network: NamespaceMode.NODE } }), hostname: "web-0" },
    ],
    ["invalid-argument", /runtime_handler "gvisor"/, {}, {}, "gvisor"],
    [
      "invalid-argument",
      /does not end with \.slice/,
      { linux: { cgroupParent: "/a" } },
      { cgroupDriver: "systemd" },
    ],
    ["invalid-argument", /sysctls contains "a b"/, { linux: { sysctls: { "a b": "1" } } }],
    ["invalid-argument", /sysctls\["a\.b"\] contains a NUL/, { linux: { sysctls: { "a.b": "\0" } } }],
    ["invalid-argument", /port_mappings\[0\]\.host_port is 65536/, { portMappings: [{ hostPort: 65_536 }] }],
    [
      "invalid-argument",
      /port_mappings\[0\]\.container_port is -1/,
      { portMappings: [{ containerPort: -1 }] },
    ],
    [
      "invalid-argument",
      /port_mappings\[0\]\.container_port is missing/,
      { portMappings: [{ hostPort: 80 }] },
    ],
    ["invalid-argument", /port_mappings\[0\]\.host_ip/, { portMappings: [{ hostIp: "localhost" }] }],
    ["invalid-argument", /port_mappings\[0\]\.protocol/, { portMappings: [{ protocol: unknownEnum() }] }],
    ["invalid-argument", /dns_config\.searches/, { dnsConfig: { searches: ["a\nnameserver 6.6.6.6"] } }],
    ["invalid-argument", /run_as_group needs/, context({ runAsGroup: { value: 1n } })],
    ["unsupported", /userns_options/, context({ namespaceOptions: { usernsOptions: {} } })],
    ["unsupported", /config\.windows/, { windows: {} }],
  ];
  for (const [kind, message, init, env, handler] of refusals) {
    it(`is refused: ${message.source}`, () => {
      refuses(kind, message, () => spec(init, env, handler));
    });
  }

  it("needs metadata", () => {
    refuses("invalid-argument", /config\.metadata is missing/, () =>
      sandboxSpec(create(PodSandboxConfigSchema), "", image, environment()),
    );
  });
});

describe("resolvConf", () => {
  const dns = (init: object) => ({
    $typeName: "runtime.v1.DNSConfig" as const,
    servers: [],
    searches: [],
    options: [],
    ...init,
  });
  for (const [init, text] of [
    [{}, undefined],
    [{ servers: ["10.0.0.10", "fd00::10"] }, "nameserver 10.0.0.10\nnameserver fd00::10\n"],
    [{ searches: ["a.b", "c"] }, "search a.b c\n"],
    [{ options: ["ndots:5", "edns0"] }, "options ndots:5 edns0\n"],
    [
      { servers: ["1.1.1.1"], searches: ["."], options: ["ndots:1"] },
      "nameserver 1.1.1.1\nsearch .\noptions ndots:1\n",
    ],
  ] as const) {
    it(`writes ${JSON.stringify(init)}`, () => {
      assert.equal(resolvConf(dns(init)), text);
    });
  }

  for (const init of [
    { servers: [""] },
    { servers: ["1.1.1.1 2.2.2.2"] },
    { searches: ["a\nnameserver 6.6.6.6"] },
    { options: ["ndots:5\t"] },
    { options: ["\0"] },
  ]) {
    it(`refuses ${JSON.stringify(init)}`, () => {
      refuses("invalid-argument", /dns_config/, () => resolvConf(dns(init)));
    });
  }
});
