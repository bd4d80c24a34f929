import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { sniffProtocol } from "../../../src/adapters/core/sniff.js";

async function sniff(...chunks: string[]): Promise<{ found: string | undefined; rest: string }> {
  const stream = new PassThrough();
  let found: string | undefined;
  sniffProtocol(stream as unknown as Socket, (protocol) => (found = protocol));
  for (const chunk of chunks) {
    stream.write(chunk);
    await new Promise(setImmediate);
  }
  const rest = stream.read() as Buffer | null;
  stream.destroy();
  return { found, rest: rest === null ? "" : rest.toString("latin1") };
}

describe("sniffProtocol", () => {
  it("knows HTTP/2 by its preface, however it is cut, and leaves it to be read", async () => {
    assert.deepEqual(await sniff("PRI * HTTP/2.0\r\n"), { found: "http2", rest: "PRI * HTTP/2.0\r\n" });
    assert.deepEqual(await sniff("P", "R", "I *"), { found: "http2", rest: "PRI *" });
  });

  it("takes everything else for HTTP/1.1", async () => {
    for (const opening of ["GET / HTTP/1.1\r\n", "PROPFIND / ", "\0", "\x16\x03\x01"]) {
      assert.deepEqual(await sniff(opening), { found: "http1", rest: opening });
    }
    assert.deepEqual(await sniff("P", "O", "ST"), { found: "http1", rest: "POST" });
  });

  it("disconnects a client that sends too little", (test) => {
    test.mock.timers.enable({ apis: ["setTimeout"] });
    const stream = new PassThrough();
    sniffProtocol(stream as unknown as Socket, () => assert.fail("nothing was said"));
    test.mock.timers.tick(10_001);
    assert.ok(stream.destroyed);
  });
});
