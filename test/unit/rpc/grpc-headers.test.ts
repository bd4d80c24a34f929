import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isKind } from "../../../src/base/index.js";
import { encodeStatusMessage, isGrpcContentType, parseTimeoutMs } from "../../../src/rpc/grpc/headers.js";

describe("encodeStatusMessage", () => {
  it("leaves printable ASCII alone and escapes the rest byte by byte", () => {
    assert.equal(encodeStatusMessage("no container c1: ~!"), "no container c1: ~!");
    assert.equal(encodeStatusMessage("100%\n"), "100%25%0A");
    assert.equal(encodeStatusMessage("ä\u007f"), "%C3%A4%7F");
    assert.equal(encodeStatusMessage("\ud800"), "%EF%BF%BD");
  });

  it("is decoded by clients, and fits into a header, for every text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const encoded = encodeStatusMessage(text);
        assert.match(encoded, /^[ -~]*$/);
        assert.equal(decodeURIComponent(encoded), text);
      }),
    );
  });
});

describe("parseTimeoutMs", () => {
  it("reads each unit", () => {
    const table = {
      "2H": 7_200_000,
      "3M": 180_000,
      "4S": 4_000,
      "5m": 5,
      "6000u": 6,
      "7000000n": 7,
      "0S": 0,
    };
    for (const [text, ms] of Object.entries(table)) assert.equal(parseTimeoutMs(text), ms, text);
    assert.equal(parseTimeoutMs(undefined), undefined);
  });

  it("refuses other forms without repeating them", () => {
    for (const text of ["", "5", "S", "5s", "-5S", "1.5S", "123456789S", "5S ", ["5S", "6S"]]) {
      assert.throws(
        () => parseTimeoutMs(text),
        (error) => isKind(error, "invalid-argument"),
        String(text),
      );
    }
  });
});

describe("isGrpcContentType", () => {
  it("means gRPC with protobuf", () => {
    for (const type of [
      "application/grpc",
      "application/grpc+proto",
      "Application/GRPC",
      "application/grpc ; a=b",
    ]) {
      assert.ok(isGrpcContentType(type), type);
    }
    for (const type of [
      "application/grpc+json",
      "application/grpc-web",
      "application/grpcx",
      "text/html",
      "",
      undefined,
    ]) {
      assert.ok(!isGrpcContentType(type), type);
    }
  });
});
