import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { imageInfo, toImage } from "../../../src/translate/index.js";
import { imageId } from "./docker-container.js";

const facts = { id: imageId, repoTags: ["busybox:1"], repoDigests: [`busybox@${imageId}`], sizeBytes: 12 };

describe("toImage", () => {
  it("reports id, names, size and pinning", () => {
    const image = toImage(facts, { pinned: true });
    assert.equal(image.id, imageId);
    assert.deepEqual(image.repoTags, ["busybox:1"]);
    assert.deepEqual(image.repoDigests, [`busybox@${imageId}`]);
    assert.equal(image.size, 12n);
    assert.equal(image.pinned, true);
    assert.equal(image.spec?.image, "busybox:1");
    assert.equal(toImage(facts, { pinned: false }).pinned, false);
  });

  for (const [sizeBytes, size] of [
    [0, 1n],
    [Number.NaN, 1n],
    [-1, 1n],
    [5_000_000_000, 5_000_000_000n],
  ] as const) {
    it(`reports a size of ${sizeBytes} as ${size}, for kubelet refuses 0`, () => {
      assert.equal(toImage({ ...facts, sizeBytes }, { pinned: false }).size, size);
    });
  }

  for (const [user, uid, username] of [
    ["", undefined, ""],
    ["0", 0n, ""],
    ["1002", 1002n, ""],
    ["1003:100", 1003n, ""],
    ["www-data", undefined, "www-data"],
    ["www-data:100", undefined, "www-data"],
    [":100", undefined, ""],
    ["4294967295", 4_294_967_295n, ""],
    ["4294967296", undefined, "4294967296"],
    ["-1", undefined, "-1"],
  ] as const) {
    it(`reads the user "${user}"`, () => {
      const image = toImage({ ...facts, config: { user } }, { pinned: false });
      assert.equal(image.uid?.value, uid);
      assert.equal(image.username, username);
    });
  }

  it("names an image without tags by digest, or by id", () => {
    const untagged = { ...facts, repoTags: [] };
    assert.equal(toImage(untagged, { pinned: false }).spec?.image, `busybox@${imageId}`);
    assert.equal(toImage({ ...untagged, repoDigests: [] }, { pinned: false }).spec?.image, imageId);
  });
});

describe("imageInfo", () => {
  it("is an OCI image config, its history oldest first", () => {
    const { info } = imageInfo(
      {
        ...facts,
        createdAt: "2024-01-02T03:04:05Z",
        author: "me",
        architecture: "amd64",
        os: "linux",
        config: {
          user: "1",
          env: ["A=b"],
          entrypoint: ["/e"],
          command: ["c"],
          workingDir: "/w",
          labels: { l: "v" },
          exposedPorts: ["80/tcp"],
          volumes: ["/v"],
          stopSignal: "SIGQUIT",
        },
        layers: ["sha256:aa"],
      },
      [
        { createdAtSeconds: 1_700_000_000, createdBy: "CMD", comment: "last", sizeBytes: 0 },
        { createdAtSeconds: Number.MAX_SAFE_INTEGER, createdBy: "ADD", comment: "", sizeBytes: 5 },
      ],
    );
    assert.deepEqual(JSON.parse(info ?? ""), {
      labels: { l: "v" },
      imageSpec: {
        created: "2024-01-02T03:04:05Z",
        author: "me",
        architecture: "amd64",
        os: "linux",
        config: {
          User: "1",
          ExposedPorts: { "80/tcp": {} },
          Env: ["A=b"],
          Entrypoint: ["/e"],
          Cmd: ["c"],
          Volumes: { "/v": {} },
          WorkingDir: "/w",
          Labels: { l: "v" },
          StopSignal: "SIGQUIT",
        },
        rootfs: { type: "layers", diff_ids: ["sha256:aa"] },
        history: [
          { created_by: "ADD" },
          {
            created: "2023-11-14T22:13:20.000000000Z",
            created_by: "CMD",
            comment: "last",
            empty_layer: true,
          },
        ],
      },
    });
  });

  it("gets by with nothing", () => {
    const { info } = imageInfo({ ...facts, config: {}, layers: [] }, []);
    assert.deepEqual(JSON.parse(info ?? ""), {
      labels: {},
      imageSpec: { config: {}, rootfs: { type: "layers", diff_ids: [] }, history: [] },
    });
  });
});
