import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { abortError, ShimError } from "../../../src/base/index.js";
import {
  callerGone,
  deadlinePassed,
  failureOf,
  serverClosing,
  shimErrorOf,
} from "../../../src/rpc/errors.js";

describe("failureOf", () => {
  it("gives an error that only reports the abort the reason's code", () => {
    const abort = new DOMException("This operation was aborted", "AbortError");
    const reasons: [ShimError, Code][] = [
      [deadlinePassed("X"), Code.DeadlineExceeded],
      [callerGone("X"), Code.Canceled],
      [serverClosing("X"), Code.Unavailable],
    ];
    for (const [reason, code] of reasons) {
      for (const thrown of [abort, reason, abortError("Y", reason), new ShimError("cancelled", "Y")]) {
        assert.equal(failureOf(thrown, reason).error.code, code);
      }
    }
  });

  it("keeps an error that has more information than the abort", () => {
    const reason = deadlinePassed("X");
    const failure = failureOf(new ShimError("not-found", "no container c1"), reason);
    assert.deepEqual([failure.error.code, failure.error.rawMessage], [Code.NotFound, "no container c1"]);
  });

  it("takes an abort that the caller has nothing to do with for a fault of ours", () => {
    const failure = failureOf(new DOMException("This operation was aborted", "AbortError"), undefined);
    assert.equal(failure.error.code, Code.Internal);
    assert.ok(failure.errorId);
  });

  it("takes anything that can be thrown", () => {
    for (const thrown of [undefined, null, 0, "text", Symbol("s"), {}, Object.create(null), () => 1]) {
      const failure = failureOf(thrown, undefined);
      assert.equal(failure.error.code, Code.Internal);
      assert.match(failure.error.rawMessage, /^internal error \(error id [0-9a-f]{12}/);
      assert.equal(failure.cause, thrown);
    }
  });

  it("shows the code of Node's own error and not its text", () => {
    const thrown = Object.assign(new Error("ENOSPC: no space left on device, write '/secret'"), {
      code: "ENOSPC",
    });
    const { error } = failureOf(thrown, undefined);
    assert.match(error.rawMessage, /^internal error ENOSPC \(error id /);
  });

  it("reports an internal error with an id", () => {
    const failure = failureOf(new ShimError("internal", "Docker's answer makes no sense"), undefined);
    assert.equal(failure.error.code, Code.Internal);
    assert.match(failure.error.rawMessage, /^Docker's answer makes no sense \(error id /);
  });

  it("keeps a ConnectError's metadata when it has to shorten its message", () => {
    const thrown = new ConnectError("x".repeat(10_000), Code.NotFound, { retry: "never" });
    const { error } = failureOf(thrown, undefined);
    assert.ok(error.rawMessage.length < 5_000);
    assert.equal(error.metadata.get("retry"), "never");
  });
});

describe("shimErrorOf", () => {
  it("reads Connect's reasons for an abort", () => {
    const kindOf = (reason: unknown) => shimErrorOf(reason, "X").kind;
    assert.equal(kindOf(new ConnectError("", Code.DeadlineExceeded)), "deadline-exceeded");
    assert.equal(kindOf(new ConnectError("", Code.Unavailable)), "unavailable");
    assert.equal(kindOf(new ConnectError("", Code.Canceled)), "cancelled");
    assert.equal(kindOf(new DOMException("", "AbortError")), "cancelled");
    assert.equal(kindOf(undefined), "cancelled");
  });
});
