import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { NodeHost } from "../../../../src/drivers/node/index.js";
import { AttachmentStore } from "../../../../src/network/cni/attachment-store.js";

describe("the store of attachments", () => {
  it("remembers which pods were detached, and forgets the oldest of many", () => {
    const store = new AttachmentStore(new NodeHost().files, "/nowhere", pino({ level: "silent" }));
    const ids = Array.from({ length: 4_097 }, (_, index) => `pod-${index}`);
    for (const id of [...ids.slice(0, 2), "pod-0", ...ids.slice(2)]) store.forget(id);
    assert.deepEqual(
      ["pod-0", "pod-1", "pod-2", "pod-4096"].map((id) => store.isDetached(id)),
      [true, false, true, true],
    );
  });
});
