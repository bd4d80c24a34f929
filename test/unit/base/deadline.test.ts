import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  abortError,
  isKind,
  ShimError,
  settlesWithin,
  sleep,
  withDeadline,
} from "../../../src/base/index.js";

const never = () => new Promise<never>(() => undefined);

describe("withDeadline", () => {
  it("returns the result of the work, and leaves no timer", async () => {
    assert.equal(await withDeadline("op", { deadlineMs: 60_000 }, () => Promise.resolve(7)), 7);
    assert.ok(!process.getActiveResourcesInfo().includes("Timeout"));
  });

  it("rejects at the deadline even when the work ignores its signal", async () => {
    let seen: AbortSignal | undefined;
    await assert.rejects(
      withDeadline("containers.inspect", { deadlineMs: 10 }, (signal) => {
        seen = signal;
        return never();
      }),
      (error) => isKind(error, "deadline-exceeded") && error.message.includes("containers.inspect"),
    );
    assert.ok(seen?.aborted);
  });

  it("rejects though the work ends well when its signal aborts", async () => {
    const obedient = (signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => {
          resolve();
        });
      });
    await assert.rejects(withDeadline("op", { deadlineMs: 10 }, obedient), { kind: "deadline-exceeded" });
    const caller = new AbortController();
    const waiting = withDeadline("op", { signal: caller.signal }, obedient);
    caller.abort();
    await assert.rejects(waiting, { kind: "cancelled" });
  });

  it("rejects when the caller goes, with the caller's own ShimError where there is one", async () => {
    const plain = new AbortController();
    const waiting = withDeadline("op", { signal: plain.signal }, never);
    plain.abort();
    await assert.rejects(waiting, (error) => isKind(error, "cancelled"));

    const reason = new ShimError("unavailable", "the server closes");
    await assert.rejects(withDeadline("op", { signal: AbortSignal.abort(reason) }, never), reason);
  });

  it("does not start the work of a cancelled call", async () => {
    let started = false;
    await assert.rejects(
      withDeadline("op", { signal: AbortSignal.abort() }, () => {
        started = true;
        return Promise.resolve();
      }),
    );
    assert.equal(started, false);
  });

  it("uses the given text for a missed deadline", async () => {
    const options = { deadlineMs: 5, timeoutText: "the client sent nothing within 5 ms" };
    await assert.rejects(withDeadline("op", options, never), {
      kind: "deadline-exceeded",
      message: "the client sent nothing within 5 ms",
    });
  });

  it("passes the work's own error on", async () => {
    const error = new ShimError("not-found", "no such thing");
    await assert.rejects(
      withDeadline("op", { deadlineMs: 1000 }, () => Promise.reject(error)),
      error,
    );
  });
});

describe("settlesWithin", () => {
  it("distinguishes work that has settled in time, even with an error, and work that has not", async () => {
    assert.equal(await settlesWithin(60_000, Promise.resolve()), true);
    assert.equal(await settlesWithin(60_000, Promise.reject(new Error("no"))), true);
    assert.equal(await settlesWithin(10, never()), false);
    assert.equal(await settlesWithin(60_000, never(), AbortSignal.abort()), false);
  });
});

describe("sleep", () => {
  it("ends early when the signal aborts", async () => {
    const controller = new AbortController();
    const sleeping = sleep(60_000, controller.signal);
    controller.abort();
    await assert.rejects(sleeping, (error) => isKind(error, "cancelled"));
    await assert.rejects(sleep(60_000, controller.signal), (error) => isKind(error, "cancelled"));
  });
});

describe("abortError", () => {
  it("keeps a ShimError and wraps the rest", () => {
    const error = new ShimError("deadline-exceeded", "late");
    assert.equal(abortError("op", error), error);
    assert.equal(abortError("op", new Error("gone")).kind, "cancelled");
  });
});
