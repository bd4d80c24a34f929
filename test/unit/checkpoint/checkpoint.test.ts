import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { pino } from "pino";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  type SandboxCheckpoint,
} from "../../../src/checkpoint/checkpoint.js";
import { Checkpoints } from "../../../src/checkpoint/index.js";
import { parseConfig } from "../../../src/config/index.js";
import { MemoryHost } from "../../../src/drivers/memory/index.js";

const plain: SandboxCheckpoint = {
  name: "foo",
  namespace: "bar",
  uid: "",
  hostNetwork: false,
  portMappings: [],
  unfinished: false,
};

/** Files as cri-dockerd itself wrote them. */
const golden: readonly [string, SandboxCheckpoint, string][] = [
  ["nothing", plain, `{"version":"v1","name":"foo","namespace":"bar","data":{},"checksum":2305795928}`],
  [
    "host network",
    { ...plain, hostNetwork: true },
    `{"version":"v1","name":"foo","namespace":"bar","data":{"host_network":true},"checksum":12315789}`,
  ],
  [
    "one port",
    { ...plain, portMappings: [{ protocol: "tcp", containerPort: 80, hostPort: 8080 }] },
    `{"version":"v1","name":"foo","namespace":"bar","data":{"port_mappings":[{"protocol":"tcp","container_port":80,"host_port":8080}]},"checksum":3712672205}`,
  ],
  [
    "two ports, one with an address",
    {
      ...plain,
      portMappings: [
        { protocol: "tcp", containerPort: 80, hostPort: 8080, hostIp: "127.0.0.1" },
        { protocol: "udp", containerPort: 53, hostPort: 0 },
      ],
    },
    `{"version":"v1","name":"foo","namespace":"bar","data":{"port_mappings":[{"protocol":"tcp","container_port":80,"host_port":8080,"host_ip":"127.0.0.1"},{"protocol":"udp","container_port":53,"host_port":0}]},"checksum":2195515454}`,
  ],
];

describe("a checkpoint", () => {
  for (const [what, checkpoint, file] of golden) {
    it(`with ${what} equals cri-dockerd's file, byte for byte`, () => {
      assert.equal(encodeCheckpoint(checkpoint), file);
      assert.deepEqual(decodeCheckpoint(file), checkpoint);
    });
  }

  it("keeps our fields beside cri-dockerd's", () => {
    const ours = { ...plain, uid: "u-1", unfinished: true };
    assert.deepEqual(decodeCheckpoint(encodeCheckpoint(ours)), ours);
  });

  it("is read with a wrong checksum and without its optional parts", () => {
    assert.deepEqual(decodeCheckpoint(`{"name":"foo","namespace":"bar","checksum":1}`), plain);
    assert.deepEqual(
      decodeCheckpoint(`{"name":"foo","namespace":"bar","data":{"port_mappings":null}}`),
      plain,
    );
  });

  it("never throws, whatever the file holds", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        decodeCheckpoint(text);
      }),
    );
    assert.equal(
      decodeCheckpoint(`{"name":"foo","data":{"port_mappings":[{"host_port":99999999}]}}`),
      undefined,
    );
  });
});

describe("Checkpoints", () => {
  const open = () => {
    const host = new MemoryHost();
    const config = parseConfig({ engine: { kind: "memory" } });
    return { host, checkpoints: new Checkpoints(host, config, pino({ level: "silent" })) };
  };
  const id = "a".repeat(64);

  it("writes, reads, lists and removes", async () => {
    const { checkpoints } = open();
    assert.equal(await checkpoints.read(id), undefined);
    await checkpoints.write(id, plain);
    assert.deepEqual(await checkpoints.read(id), plain);
    assert.deepEqual(await checkpoints.ids(), [id]);
    await checkpoints.remove(id);
    await checkpoints.remove(id);
    assert.deepEqual(await checkpoints.ids(), []);
  });

  it("skips a torn file and foreign files", async () => {
    const { host, checkpoints } = open();
    await host.files.writeAtomic(`/var/lib/cri-dockerd/sandbox/${id}`, `{"version":"v1","na`);
    await host.files.writeAtomic("/var/lib/cri-dockerd/sandbox/.tmp123", "x");
    assert.equal(await checkpoints.read(id), undefined);
    assert.deepEqual(await checkpoints.ids(), [id]);
  });

  it("removes a folder that stands in a file's place, so that its pod can go", async () => {
    const { host, checkpoints } = open();
    await host.files.writeAtomic(`/var/lib/cri-dockerd/sandbox/${id}/file`, "x");
    assert.equal(await checkpoints.read(id), undefined);
    await checkpoints.remove(id);
    assert.deepEqual(await checkpoints.ids(), []);
  });

  it("does not take a file for missing when too many files are open", async () => {
    const { host, checkpoints } = open();
    await checkpoints.write(id, plain);
    host.faults.on("files.read", { code: "EMFILE", times: 1 });
    await assert.rejects(checkpoints.read(id), { kind: "resource-exhausted", message: /EMFILE/ });
    assert.deepEqual(await checkpoints.read(id), plain);
  });

  it("reports the operation and the file of a failure", async () => {
    const { host, checkpoints } = open();
    for (const [code, kind] of [
      ["ENOSPC", "resource-exhausted"],
      ["EDQUOT", "resource-exhausted"],
      ["EROFS", "permission-denied"],
      ["EIO", "internal"],
    ] as const) {
      for (const method of ["writeAtomic", "remove", "list"])
        host.faults.on(`files.${method}`, { code, times: 1 });
      await assert.rejects(checkpoints.write(id, plain), { kind, message: new RegExp(`${id}: ${code}`) });
      await assert.rejects(checkpoints.remove(id), { kind, message: new RegExp(`${id}: ${code}`) });
      await assert.rejects(checkpoints.ids(), { kind, message: new RegExp(code) });
    }
  });

  it("makes no path from an invalid id", async () => {
    await assert.rejects(open().checkpoints.read("../../etc/passwd"), TypeError);
  });
});
