import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { getEventListeners } from "node:events";
import { onAbort, withDeadline } from "../../../src/base/index.js";

describe("onAbort", () => {
  it("calls every reaction once, through one listener", () => {
    const controller = new AbortController();
    let told = 0;
    for (let index = 0; index < 100; index++) onAbort(controller.signal, () => told++);
    assert.equal(getEventListeners(controller.signal, "abort").length, 1);
    controller.abort();
    assert.equal(told, 100);
  });

  it("reacts at once when the signal has aborted, and not for a removed reaction", () => {
    const controller = new AbortController();
    const told: string[] = [];
    const stop = onAbort(controller.signal, () => told.push("stopped"));
    stop();
    stop();
    controller.abort();
    onAbort(controller.signal, () => told.push("late"));
    assert.deepEqual(told, ["late"]);
  });

  it("does nothing without a signal", () => {
    onAbort(undefined, () => assert.fail())();
  });
});

describe("withDeadline, many at once", () => {
  it("shares one listener of a shared signal, and waits longer than a timer can", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on("warning", onWarning);
    const { signal } = new AbortController();
    const options = { signal, deadlineMs: 2 ** 40 };
    const work = async () => await new Promise<string>((resolve) => setTimeout(resolve, 20, "done"));
    const results = await Promise.all(
      Array.from({ length: 30 }, async () => await withDeadline("op", options, work)),
    );
    process.off("warning", onWarning);
    assert.deepEqual(new Set(results), new Set(["done"]));
    assert.deepEqual(warnings, []);
  });
});
