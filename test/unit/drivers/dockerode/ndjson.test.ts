import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Malformed } from "../../../../src/drivers/dockerode/failures.js";
import { lines } from "../../../../src/drivers/dockerode/ndjson.js";
import { chunked, collect } from "./fake-engine.js";

describe("lines", () => {
  it("is not misled by where the chunks were cut, not even inside a character", async () => {
    const bytes = Buffer.from('{"a":"€ü🙂"}\n\r\n{"b":1}\r\n{"last":true}');
    for (let size = 1; size <= bytes.length; size++)
      assert.deepEqual(await collect(lines(chunked(bytes, size))), [
        '{"a":"€ü🙂"}',
        '{"b":1}',
        '{"last":true}',
      ]);
  });

  it("gives nothing for an empty stream", async () => {
    assert.deepEqual(await collect(lines(chunked(Buffer.from("\n\n"), 1))), []);
    assert.deepEqual(await collect(lines(chunked(Buffer.alloc(0), 1))), []);
  });

  it("takes a line up to the bound and refuses a longer one", async () => {
    assert.deepEqual(await collect(lines(chunked(Buffer.from("12345\nx"), 2), 5)), ["12345", "x"]);
    await assert.rejects(collect(lines(chunked(Buffer.from("123456\n"), 2), 5)), Malformed);
  });

  it("stops reading a line of 100 MB at 16 MiB", async () => {
    const chunk = Buffer.alloc(1024 * 1024, "x");
    let given = 0;
    const endless = async function* () {
      for (; given < 100; given++) yield await Promise.resolve(chunk);
    };
    await assert.rejects(collect(lines(endless())), Malformed);
    assert.equal(given, 16);
  });
});
