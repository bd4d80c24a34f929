import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatEndpoint, isKind, parseEndpoint } from "../../../src/base/index.js";

describe("parseEndpoint", () => {
  it("reads what formatEndpoint writes", () => {
    for (const text of [
      "unix:///run/cri.sock",
      "tcp://127.0.0.1:80",
      "tcp://[::1]:0",
      "tcp://node.example:65535",
    ]) {
      assert.equal(formatEndpoint(parseEndpoint(text)), text);
    }
    assert.deepEqual(parseEndpoint("tcp://[::1]:5"), { kind: "tcp", host: "::1", port: 5 });
    assert.deepEqual(parseEndpoint("unix:///a b"), { kind: "unix", path: "/a b" });
  });

  it("shows an invalid text, and the two forms", () => {
    const wrong = [
      "",
      "/run/cri.sock",
      "unix://run/cri.sock",
      "unix:///",
      "unix:///run/",
      "unix:///a\0b",
      "tcp://host",
      "tcp://host:65536",
      "tcp://host:-1",
      "tcp://:1",
      "tcp://::1:1",
      "tcp://host:1/path",
      "tcp://user@host:1",
      "http://host:1",
    ];
    for (const text of wrong) {
      assert.throws(
        () => parseEndpoint(text),
        (error) => {
          assert.ok(isKind(error, "invalid-argument"), text);
          assert.ok(
            error.message.includes(JSON.stringify(text)) && error.message.includes("unix:///absolute/path"),
          );
          return true;
        },
      );
    }
  });
});
