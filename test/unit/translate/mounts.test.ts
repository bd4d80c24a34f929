import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { DockerMount } from "../../../src/docker/index.js";
import { MountPropagation, MountSchema } from "../../../src/gen/runtime/v1/api_pb.js";
import type { EngineEnvironment, ExportedImages } from "../../../src/translate/index.js";
import { dockerMounts } from "../../../src/translate/mounts.js";
import { imageVolumesLabel, imageVolumesLabels } from "../../../src/translate/exported-images.js";
import { currentMounts } from "../../../src/translate/mount-status.js";
import { dockerContainer } from "./docker-container.js";
import { environment, oldEnvironment } from "./engine-environment.js";
import { refuses, unknownEnum } from "./refuses.js";

type Init = MessageInitShape<typeof MountSchema>;
const { PROPAGATION_BIDIRECTIONAL, PROPAGATION_HOST_TO_CONTAINER } = MountPropagation;
const selinux = { security: { seccomp: true, apparmor: false, selinux: true } };
const api48 = { apiVersion: [1, 48] as const };
const base = { hostPath: "/h", containerPath: "/c" };
const bind: DockerMount = { type: "bind", source: "/h", target: "/c", createMountpoint: true };

function translate(init: Init, env: EngineEnvironment, exportedImages: ExportedImages = new Map()) {
  return dockerMounts([create(MountSchema, init)], { env, runtime: "", exportedImages });
}

describe("mounts", () => {
  const asMounts: [name: string, init: Init, expected: DockerMount, env?: Partial<EngineEnvironment>][] = [
    ["a writable one", base, bind],
    [
      "a read-only one: not the mounts below it",
      { ...base, readonly: true },
      { ...bind, readonly: true, readonlyNonRecursive: true },
    ],
    [
      "a read-only one, before Docker made those below read-only too",
      { ...base, readonly: true },
      { ...bind, readonly: true },
      { apiVersion: [1, 43] },
    ],
    [
      "a recursive read-only one",
      { ...base, readonly: true, recursiveReadOnly: true },
      { ...bind, readonly: true, readonlyForceRecursive: true, propagation: "rprivate" },
    ],
    [
      "one that takes the node's mounts",
      { ...base, propagation: PROPAGATION_HOST_TO_CONTAINER },
      { ...bind, propagation: "rslave" },
    ],
    [
      "a shared one",
      { ...base, propagation: PROPAGATION_BIDIRECTIONAL },
      { ...bind, propagation: "rshared" },
    ],
    [
      "one whose host path must be there",
      base,
      { type: "bind", source: "/h", target: "/c" },
      { missingHostPath: "refuse" },
    ],
    ["one to label, where there is no SELinux", { ...base, selinuxRelabel: true }, bind],
    [
      "an image",
      { containerPath: "/c", readonly: true, image: { image: "img:1" }, imageSubPath: "a/b" },
      { type: "image", source: "img:1", target: "/c", readonly: true, imageSubpath: "a/b" },
      api48,
    ],
    [
      "an image with the default runtime's name",
      { containerPath: "/c", readonly: true, image: { image: "img:1", runtimeHandler: "runc" } },
      { type: "image", source: "img:1", target: "/c", readonly: true },
      api48,
    ],
    [
      "one with a colon, which only this form can say, on an old engine",
      { ...base, hostPath: "/h:1" },
      { type: "bind", source: "/h:1", target: "/c" },
      { apiVersion: [1, 41] },
    ],
  ];
  for (const [name, init, expected, env] of asMounts) {
    it(`maps ${name}`, () => {
      assert.deepEqual(translate(init, environment(env)), { mounts: [expected], binds: [] });
    });
  }

  const asBinds: [name: string, init: Init, expected: string, env: Partial<EngineEnvironment>][] = [
    ["one to label", { ...base, selinuxRelabel: true }, "/h:/c:rw,Z", selinux],
    [
      "a read-only shared one to label",
      { ...base, selinuxRelabel: true, readonly: true, propagation: PROPAGATION_BIDIRECTIONAL },
      "/h:/c:ro,Z,rshared",
      selinux,
    ],
    ["one to make if missing, before API 1.42", base, "/h:/c:rw", { apiVersion: [1, 41] }],
    [
      "the same with propagation",
      { ...base, propagation: PROPAGATION_HOST_TO_CONTAINER },
      "/h:/c:rw,rslave",
      { apiVersion: [1, 41] },
    ],
  ];
  for (const [name, init, expected, env] of asBinds) {
    it(`maps ${name} as a bind`, () => {
      assert.deepEqual(translate(init, environment(env)), { mounts: [], binds: [expected] });
    });
  }

  const ofImage = { containerPath: "/c", readonly: true, image: { image: "img:1" }, imageSubPath: "a" };
  const exported: ExportedImages = new Map([["/c", { imageId: "sha256:1", path: "/export/a" }]]);

  it("mounts the folder of an image, where Docker cannot mount images", () => {
    assert.deepEqual(translate({ ...ofImage, selinuxRelabel: true }, oldEnvironment, exported), {
      mounts: [{ type: "bind", source: "/export/a", target: "/c", readonly: true }],
      binds: [],
    });
  });

  it("gives such a folder a label that its containers share, under SELinux", () => {
    const env = environment({ ...selinux, apiVersion: [1, 47] });
    assert.deepEqual(translate({ ...ofImage, selinuxRelabel: true }, env, exported), {
      mounts: [],
      binds: ["/export/a:/c:ro,z"],
    });
    refuses("unsupported", /mounts\[0\]\.selinux_relabel.*colon/, () =>
      translate(
        { ...ofImage, selinuxRelabel: true },
        env,
        new Map([["/c", { imageId: "sha256:1", path: "/export/a:b" }]]),
      ),
    );
  });

  it("reports a folder of an image as the image, by its label", () => {
    const mounts = [create(MountSchema, { ...ofImage, containerPath: "/c/" })];
    const labels = imageVolumesLabels(mounts, new Map([["/c/", { imageId: "sha256:1", path: "/export/a" }]]));
    const point = { type: "bind", source: "/export/a", target: "/c", writable: false };
    const told = (text: string) =>
      currentMounts(dockerContainer({ mounts: [point] }), { [imageVolumesLabel]: text });
    const [mount] = told(labels[imageVolumesLabel] ?? "");
    assert.deepEqual(
      [
        mount?.containerPath,
        mount?.hostPath,
        mount?.image?.image,
        mount?.image?.imageRef,
        mount?.imageSubPath,
      ],
      ["/c", "", "img:1", "img:1", "a"],
    );
    assert.equal(mount?.readonly, true);
    for (const text of ["", "null", "7", '{"/c":null}', '{"/c":{"image":"img:1"}}']) {
      assert.equal(told(text)[0]?.hostPath, "/export/a", text);
    }
    assert.deepEqual(imageVolumesLabels([create(MountSchema, base)], new Map()), {});
  });

  it("mounts one image several times, which Docker refuses under one spelling, and reports it as one", () => {
    const id = `sha256:${"0123456789abcdef".repeat(4)}`;
    const { mounts } = dockerMounts(
      ["/a", "/b", "/c"].map((containerPath) =>
        create(MountSchema, {
          containerPath,
          readonly: true,
          image: { image: id },
          imageSubPath: containerPath.slice(1),
        }),
      ),
      { env: environment(api48), runtime: "", exportedImages: new Map() },
    );
    const sources = mounts.map((mount) => mount.source);
    assert.deepEqual(sources, [id, id.slice(7), id.slice(7, -1)]);
    const told = currentMounts(
      dockerContainer({
        host: { mounts },
        mounts: mounts.map(({ target }) => ({ type: "image", source: "/x", target, writable: false })),
      }),
      {},
    );
    assert.deepEqual(
      told.map((mount) => [mount.image?.image, mount.image?.imageRef, mount.imageSubPath]),
      [
        [id, id, "a"],
        [id, id, "b"],
        [id, id, "c"],
      ],
    );
  });

  it("refuses to mount one name several times", () => {
    const twice = ["/a", "/b"].map((containerPath) =>
      create(MountSchema, { containerPath, readonly: true, image: { image: "img:1" } }),
    );
    refuses("unsupported", /mounts\[1\]\.image\.image.*full ID/, () =>
      dockerMounts(twice, { env: environment(api48), runtime: "", exportedImages: new Map() }),
    );
  });

  for (const [first, second] of [
    ["/c", "/c"],
    ["/c", "/c/"],
    ["/a/../c", "//c"],
  ] as const) {
    it(`refuses to mount at ${first} and again at ${second}, naming both`, () => {
      const twice = [first, "/other", second].map((containerPath) =>
        create(MountSchema, { hostPath: "/h", containerPath }),
      );
      refuses(
        "invalid-argument",
        /config\.mounts\[2\]\.container_path is ".*", where config\.mounts\[0\] is already mounted/,
        () => dockerMounts(twice, { env: environment(), runtime: "", exportedImages: new Map() }),
      );
    });
  }

  it("keeps the order", () => {
    const made = dockerMounts(
      ["/a", "/a/b", "/c"].map((path) => create(MountSchema, { hostPath: path, containerPath: path })),
      { env: environment(), runtime: "", exportedImages: new Map() },
    );
    assert.deepEqual(
      made.mounts.map((mount) => mount.target),
      ["/a", "/a/b", "/c"],
    );
  });

  it("bounds their number, and the length of their paths together", () => {
    const mounts = (count: number, path: string) =>
      Array.from({ length: count }, (_, index) =>
        create(MountSchema, { hostPath: "/h", containerPath: `/${index}${path}` }),
      );
    const context = { env: environment(), runtime: "", exportedImages: new Map<string, never>() };
    assert.equal(dockerMounts(mounts(4096, ""), context).mounts.length, 4096);
    refuses("invalid-argument", /config\.mounts have 4097 entries, but the limit is 4096/, () =>
      dockerMounts(mounts(4097, ""), context),
    );
    refuses("invalid-argument", /config\.mounts have paths of \d+ characters in total/, () =>
      dockerMounts(mounts(100, "x".repeat(3_000)), context),
    );
  });

  const image = { containerPath: "/c", readonly: true, image: { image: "img:1" } };
  const recursive = { ...base, readonly: true, recursiveReadOnly: true };
  for (const [kind, message, init, env] of [
    ["invalid-argument", /mounts\[0\]\.container_path must be an absolute/, { ...base, containerPath: "c" }],
    ["invalid-argument", /mounts\[0\]\.container_path must not be \//, { ...base, containerPath: "//" }],
    ["invalid-argument", /mounts\[0\]\.container_path must not be \//, { ...base, containerPath: "/a/.." }],
    ["invalid-argument", /mounts\[0\]\.container_path contains a NUL/, { ...base, containerPath: "/a\0" }],
    ["invalid-argument", /mounts\[0\]\.host_path must be an absolute/, { ...base, hostPath: "h" }],
    ["invalid-argument", /mounts\[0\]\.host_path must be an absolute/, { containerPath: "/c" }],
    ["invalid-argument", /propagation/, { ...base, propagation: unknownEnum() }],
    ["invalid-argument", /image_sub_path needs an image/, { ...base, imageSubPath: "a" }],
    ["invalid-argument", /recursive_read_only needs readonly/, { ...recursive, readonly: false }],
    [
      "invalid-argument",
      /recursive_read_only needs private/,
      { ...recursive, propagation: PROPAGATION_HOST_TO_CONTAINER },
    ],
    ["unsupported", /^RROUnsupported: .*"\/h".*Docker 25/, recursive, { apiVersion: [1, 43] }],
    ["unsupported", /^RROUnsupported: /, recursive, { kernelRelease: "5.10.0" }],
    ["unsupported", /^RROUnsupported: /, recursive, { defaultRuntime: "kata" }],
    ["unsupported", /selinux_relabel.*colon/, { ...base, hostPath: "/h:1", selinuxRelabel: true }, selinux],
    ["invalid-argument", /host_path excludes an image/, { ...image, hostPath: "/h" }, api48],
    ["invalid-argument", /readonly must be true for an image/, { ...image, readonly: false }, api48],
    ["invalid-argument", /image\.image is missing/, { ...image, image: {} }, api48],
    ["invalid-argument", /propagation/, { ...image, propagation: PROPAGATION_BIDIRECTIONAL }, api48],
    ["invalid-argument", /image_sub_path/, { ...image, imageSubPath: "/etc" }, api48],
    ["invalid-argument", /image_sub_path/, { ...image, imageSubPath: "a/../../b" }, api48],
    ["invalid-argument", /image_sub_path/, { ...image, imageSubPath: "a\0" }, api48],
    [
      "unsupported",
      /runtime_handler is "kata"/,
      { ...image, image: { image: "img:1", runtimeHandler: "kata" } },
      api48,
    ],
    ["unsupported", /needs Docker 28/, image],
  ] as [Parameters<typeof refuses>[0], RegExp, Init, Partial<EngineEnvironment>?][]) {
    it(`refuses ${JSON.stringify(init)}`, () => {
      refuses(kind, message, () => translate(init, environment(env)));
    });
  }
});
