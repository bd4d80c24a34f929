import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ErrorKind } from "../../../src/base/index.js";
import type { DockerContainerConfig, DockerHostConfig } from "../../../src/docker/index.js";
import {
  ContainerConfigSchema,
  NamespaceMode,
  PodSandboxConfigSchema,
  SecurityProfile_ProfileType as ProfileType,
  Signal,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { containerSpec, type ContainerSpecRequest } from "../../../src/translate/index.js";
import { sandboxId } from "./docker-container.js";
import { environment, oldEnvironment } from "./engine-environment.js";
import { refuses, unknownEnum } from "./refuses.js";

type Init = Exclude<MessageInitShape<typeof ContainerConfigSchema>, { $typeName: string }>;
type Context = NonNullable<NonNullable<Init["linux"]>["securityContext"]>;

const podInit = {
  metadata: { name: "web-0", namespace: "shop", uid: "1f-2e", attempt: 3 },
  logDirectory: "/var/log/pods/p",
  linux: {
    cgroupParent: "/kubepods/podx",
    securityContext: { privileged: true, namespaceOptions: { pid: NamespaceMode.CONTAINER } },
  },
};
const pod = create(PodSandboxConfigSchema, podInit);
const metadata =
  '{"pod":{"name":"web-0","namespace":"shop","uid":"1f-2e","attempt":3},' +
  '"container":{"name":"nginx","attempt":7},"image":{"image":"nginx:1"}}';
const minimal: Init = { metadata: { name: "nginx", attempt: 7 }, image: { image: "nginx:1" } };
const text = (value: string) => new TextEncoder().encode(value);

function spec(init: Init, more: Partial<ContainerSpecRequest> = {}) {
  return containerSpec({
    config: create(ContainerConfigSchema, { ...minimal, ...init }),
    sandboxConfig: pod,
    sandboxId,
    sandboxHostNetwork: false,
    env: environment(),
    ...more,
  });
}

const secured = (securityContext: Context): Init => ({ linux: { securityContext } });

describe("a container's spec", () => {
  it("is whole for a container of few words, and leaves Docker's defaults alone", () => {
    assert.deepEqual(spec({}), {
      name: "k8s_nginx_web-0_shop_1f-2e_7",
      config: {
        image: "nginx:1",
        labels: {
          "io.kubernetes.docker.type": "container",
          "io.kubernetes.container.logpath": "",
          "io.kubernetes.sandbox.id": sandboxId,
          "io.kubernetes.docker.metadata": metadata,
        },
        tty: false,
        openStdin: false,
        stdinOnce: false,
        healthcheckDisabled: true,
      },
      host: {
        networkMode: `container:${sandboxId}`,
        ipcMode: `container:${sandboxId}`,
        cgroupnsMode: "private",
        init: false,
        cgroupParent: "/kubepods/podx",
        resources: { oomScoreAdj: 0 },
        restartPolicy: "no",
      },
    });
  });

  it("takes an empty security context at its word: nothing masked, no seccomp", () => {
    const { host } = spec(secured({}));
    assert.deepEqual(
      [host.maskedPaths, host.readonlyPaths, host.securityOpt],
      [[], [], ["no-new-privileges=false", "seccomp=unconfined"]],
    );
  });

  it("is in the node's user namespace where dockerd remaps users", () => {
    assert.equal(spec({}).host.usernsMode, undefined);
    assert.equal(spec({}, { env: environment({ usernsRemapped: true }) }).host.usernsMode, "host");
  });

  type Case = [
    name: string,
    init: Init,
    expected: { config?: DockerContainerConfig; host?: DockerHostConfig },
    more?: Partial<ContainerSpecRequest>,
  ];
  const cases: Case[] = [
    ["command", { command: ["/bin/sh", "-c"] }, { config: { entrypoint: ["/bin/sh", "-c"] } }],
    ["args", { args: ["a", ""] }, { config: { command: ["a", ""] } }],
    ["working_dir", { workingDir: "/w" }, { config: { workingDir: "/w" } }],
    [
      "envs",
      { envs: [{ key: "A", value: text("1=2") }, { key: "B" }, { key: "C", value: text("é") }] },
      { config: { env: ["A=1=2", "B=", "C=é"] } },
    ],
    [
      "envs, the last of a name",
      { envs: [{ key: "A", value: text("1") }, { key: "B" }, { key: "A", value: text("2") }] },
      { config: { env: ["B=", "A=2"] } },
    ],
    ["stdin", { stdin: true }, { config: { openStdin: true, stdinOnce: false } }],
    ["stdin_once", { stdin: true, stdinOnce: true }, { config: { openStdin: true, stdinOnce: true } }],
    ["stdin_once without stdin", { stdinOnce: true }, { config: { openStdin: false, stdinOnce: false } }],
    ["tty", { tty: true }, { config: { tty: true } }],
    ["stop_signal", { stopSignal: Signal.SIGRTMINPLUS3 }, { config: { stopSignal: "SIGRTMIN+3" } }],
    [
      "labels, annotations and log_path",
      { labels: { a: "b" }, annotations: { c: "d" }, logPath: "nginx/7.log" },
      {
        config: {
          labels: {
            a: "b",
            "annotation.c": "d",
            "io.kubernetes.docker.type": "container",
            "io.kubernetes.container.logpath": "/var/log/pods/p/nginx/7.log",
            "io.kubernetes.docker.log-directory": "/var/log/pods/p",
            "io.kubernetes.sandbox.id": sandboxId,
            "io.kubernetes.docker.metadata": metadata,
          },
        },
      },
    ],
    [
      "mounts",
      { mounts: [{ hostPath: "/h", containerPath: "/c" }] },
      { host: { mounts: [{ type: "bind", source: "/h", target: "/c", createMountpoint: true }] } },
    ],
    [
      "mounts on Docker 20.10",
      { mounts: [{ hostPath: "/h", containerPath: "/c", readonly: true }] },
      { host: { binds: ["/h:/c:ro"] } },
      { env: oldEnvironment },
    ],
    [
      "image mounts on Docker 20.10",
      { mounts: [{ containerPath: "/c", readonly: true, image: { image: "i" } }] },
      {
        config: {
          labels: {
            "io.kubernetes.docker.type": "container",
            "io.kubernetes.container.logpath": "",
            "io.kubernetes.sandbox.id": sandboxId,
            "io.kubernetes.docker.metadata": metadata,
            "io.kubernetes.docker.image-volumes":
              '{"/c":{"imageId":"sha256:1","image":"i","imageSubPath":""}}',
          },
        },
        host: { mounts: [{ type: "bind", source: "/x", target: "/c", readonly: true }] },
      },
      { env: oldEnvironment, exportedImages: new Map([["/c", { imageId: "sha256:1", path: "/x" }]]) },
    ],
    [
      "devices",
      { devices: [{ hostPath: "/dev/a", containerPath: "/dev/b", permissions: "rwm" }] },
      { host: { devices: [{ hostPath: "/dev/a", containerPath: "/dev/b", permissions: "rwm" }] } },
    ],
    ["CDI_devices", { CDIDevices: [{ name: "v.com/gpu=0" }] }, { host: { cdiDevices: ["v.com/gpu=0"] } }],
    [
      "linux.resources",
      { linux: { resources: { cpuShares: 512n, oomScoreAdj: 5n } } },
      { host: { resources: { cpuShares: 512, oomScoreAdj: 5 } } },
    ],
    [
      "the sandbox's cgroup parent under systemd",
      {},
      { host: { cgroupParent: "kubepods-podx.slice" } },
      {
        env: environment({ cgroupDriver: "systemd" }),
        sandboxConfig: create(PodSandboxConfigSchema, {
          ...podInit,
          linux: { cgroupParent: "/kubepods.slice/kubepods-podx.slice" },
        }),
      },
    ],
    ["the sandbox's runtime", {}, { host: { runtime: "kata" } }, { sandboxRuntime: "kata" }],
    ["a sandbox on the node's network", {}, { host: { utsMode: "host" } }, { sandboxHostNetwork: true }],
    [
      "the log driver",
      {},
      { host: { logConfig: { driver: "json-file" } } },
      { env: environment({ logConfig: { driver: "json-file" } }) },
    ],
    ["image.runtime_handler of the default", { image: { image: "i", runtimeHandler: "runc" } }, {}],
    [
      "image.annotations and user_specified_image, which change nothing",
      { image: { image: "i", annotations: { a: "b" }, userSpecifiedImage: "j", imageRef: "k" } },
      { config: { image: "i" } },
    ],
    ["run_as_user", secured({ runAsUser: { value: 0n } }), { config: { user: "0" } }],
    [
      "run_as_username and run_as_group",
      secured({ runAsUsername: "www", runAsGroup: { value: 5n } }),
      { config: { user: "www:5" } },
    ],
    [
      "privileged",
      secured({ privileged: true }),
      {
        host: {
          privileged: true,
          cgroupnsMode: "host",
          securityOpt: ["no-new-privileges=false", "seccomp=unconfined"],
        },
      },
    ],
    [
      "cgroup v1, where every container sees the node's tree",
      {},
      { host: { cgroupnsMode: "host" } },
      { env: oldEnvironment },
    ],
    ["readonly_rootfs", secured({ readonlyRootfs: true }), { host: { readonlyRootfs: true } }],
    ["supplemental_groups", secured({ supplementalGroups: [5n, 6n] }), { host: { groupAdd: ["5", "6"] } }],
    [
      "capabilities",
      secured({ capabilities: { addCapabilities: ["CAP_NET_RAW"], dropCapabilities: ["ALL"] } }),
      { host: { capAdd: ["NET_RAW"], capDrop: ["ALL"] } },
    ],
    [
      "masked_paths and readonly_paths",
      secured({ maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys"] }),
      { host: { maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys"] } },
    ],
    [
      "every security option, in one order",
      secured({
        selinuxOptions: { type: "t" },
        apparmor: { profileType: ProfileType.Localhost, localhostRef: "p" },
        noNewPrivs: true,
        seccomp: { profileType: ProfileType.Localhost, localhostRef: "/s.json" },
      }),
      {
        host: {
          securityOpt: [
            "label=type:t",
            "apparmor=p",
            "no-new-privileges",
            'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',
          ],
        },
      },
      { seccompProfile: '{"defaultAction":"SCMP_ACT_ALLOW"}' },
    ],
    [
      "the older apparmor_profile",
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- older kubelets say it this way only
      secured({ apparmorProfile: "localhost/p", seccompProfilePath: "runtime/default" }),
      { host: { securityOpt: ["apparmor=p", "no-new-privileges=false"] } },
    ],
    [
      "the PID namespace of another container",
      secured({ namespaceOptions: { pid: NamespaceMode.TARGET, targetId: "t" } }),
      { host: { pidMode: "container:full" } },
      { pidTargetId: "full" },
    ],
  ];
  for (const [name, init, expected, more] of cases) {
    it(`maps ${name}`, () => {
      const made = spec(init, more);
      assert.deepEqual({ ...made.config, ...expected.config }, made.config);
      assert.deepEqual({ ...made.host, ...expected.host }, made.host);
    });
  }

  it("masks no paths of a privileged container by itself: Docker masks none", () => {
    const { host } = spec(secured({ privileged: true, maskedPaths: ["/proc/kcore"] }));
    assert.deepEqual([host.maskedPaths, host.readonlyPaths], [undefined, undefined]);
  });

  const refusals: [ErrorKind, RegExp, Init, Partial<ContainerSpecRequest>?][] = [
    ["invalid-argument", /sandbox_config is missing/, {}, { sandboxConfig: undefined }],
    [
      "invalid-argument",
      /sandbox_config\.metadata is missing/,
      {},
      { sandboxConfig: create(PodSandboxConfigSchema) },
    ],
    [
      "unsupported",
      /sandbox_config\.windows/,
      {},
      { sandboxConfig: create(PodSandboxConfigSchema, { ...podInit, windows: {} }) },
    ],
    ["invalid-argument", /config\.metadata is missing/, { metadata: undefined }],
    ["invalid-argument", /config\.metadata\.name/, { metadata: { name: "" } }],
    ["invalid-argument", /config\.image\.image is missing/, { image: {} }],
    ["invalid-argument", /config\.image\.image contains a NUL/, { image: { image: "a\0" } }],
    ["unsupported", /config\.image\.runtime_handler/, { image: { image: "i", runtimeHandler: "kata" } }],
    ["invalid-argument", /config\.command contains a NUL/, { command: ["a\0"] }],
    ["invalid-argument", /config\.args contains a NUL/, { args: ["a\0"] }],
    ["invalid-argument", /config\.working_dir/, { workingDir: "w" }],
    ["invalid-argument", /config\.envs contains ""/, { envs: [{ key: "" }] }],
    ["invalid-argument", /config\.envs contains "A=B"/, { envs: [{ key: "A=B" }] }],
    ["invalid-argument", /NUL byte in the value of "A"/, { envs: [{ key: "A", value: text("\0") }] }],
    ["unsupported", /"A" that is not UTF-8/, { envs: [{ key: "A", value: new Uint8Array([0xff]) }] }],
    ["invalid-argument", /config\.stop_signal has the value 99/, { stopSignal: unknownEnum() }],
    ["invalid-argument", /log_path "\.\.\/x"/, { logPath: "../x" }],
    ["invalid-argument", /config\.mounts\[0\]/, { mounts: [{ containerPath: "c" }] }],
    [
      "unsupported",
      /config\.mounts\[1\]\.mount_options/,
      {
        mounts: [
          { hostPath: "/h", containerPath: "/c" },
          { hostPath: "/h", containerPath: "/d", mountOptions: ["noexec"] },
        ],
      },
    ],
    [
      "unsupported",
      /config\.mounts\[0\]\.uidMappings/,
      { mounts: [{ hostPath: "/h", containerPath: "/c", uidMappings: [{ length: 1 }] }] },
    ],
    [
      "invalid-argument",
      /config\.devices\[0\]\.host_path/,
      { devices: [{ containerPath: "/dev/a", permissions: "r" }] },
    ],
    [
      "invalid-argument",
      /config\.devices\[0\]\.container_path/,
      { devices: [{ hostPath: "/dev/a", permissions: "r" }] },
    ],
    [
      "invalid-argument",
      /config\.devices\[0\]\.permissions/,
      { devices: [{ hostPath: "/dev/a", containerPath: "/dev/a", permissions: "x" }] },
    ],
    [
      "invalid-argument",
      /config\.devices\[0\]\.permissions/,
      { devices: [{ hostPath: "/dev/a", containerPath: "/dev/a" }] },
    ],
    ["invalid-argument", /config\.CDI_devices\[0\]\.name/, { CDIDevices: [{ name: "gpu" }] }],
    ["unsupported", /CDI_devices.*Docker 25/, { CDIDevices: [{ name: "v/c=d" }] }, { env: oldEnvironment }],
    [
      "unsupported",
      /CDI_devices.*daemon\.json/,
      { CDIDevices: [{ name: "v/c=d" }] },
      { env: environment({ cdiEnabled: false }) },
    ],
    ["invalid-argument", /resources\.cpu_shares/, { linux: { resources: { cpuShares: -1n } } }],
    ["unsupported", /config\.windows/, { windows: {} }],
    [
      "unsupported",
      /add_ambient_capabilities/,
      secured({ capabilities: { addAmbientCapabilities: ["NET_RAW"] } }),
    ],
    ["unsupported", /userns_options/, secured({ namespaceOptions: { usernsOptions: {} } })],
    [
      "unsupported",
      /userns_options\.uids/,
      secured({
        namespaceOptions: { usernsOptions: { mode: NamespaceMode.NODE, uids: [{ length: 1 }] } },
      }),
    ],
    ["invalid-argument", /\.pid has the value 99/, secured({ namespaceOptions: { pid: unknownEnum() } })],
    [
      "invalid-argument",
      /privileged needs a pod/,
      secured({ privileged: true }),
      { sandboxConfig: create(PodSandboxConfigSchema, { ...podInit, linux: {} }) },
    ],
  ];
  for (const [kind, message, init, more] of refusals) {
    it(`is refused: ${message.source}`, () => {
      refuses(kind, message, () => spec(init, more));
    });
  }

  it("never shows the value of a variable in an error", () => {
    const secret = "hunter2";
    for (const envs of [
      [{ key: "A=", value: text(secret) }],
      [{ key: "A", value: text(`${secret}\0`) }],
      [{ key: "A", value: new Uint8Array([...text(secret), 0xff]) }],
    ]) {
      assert.throws(
        () => spec({ envs }),
        (error: Error) => !error.message.includes(secret),
      );
    }
  });
});
