import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SharedLock } from "../../../../src/network/cni/shared-lock.js";

describe("a shared lock", () => {
  it("never run together; uses do", async () => {
    const lock = new SharedLock();
    const running = new Set<string>();
    const seen = new Set<string>();
    const work = (name: string) => async () => {
      running.add(name);
      seen.add(
        [...running]
          .map((each) => each[0])
          .sort()
          .join(""),
      );
      await delay(5);
      running.delete(name);
    };
    await Promise.all([
      ...["u1", "u2"].map((name) => lock.share(work(name))),
      ...["c1", "c2"].map((name) => lock.hold("test", 5_000, work(name))),
      delay(7).then(() => lock.share(work("u3"))),
      delay(12).then(() => lock.share(work("u4"))),
    ]);
    assert.ok(seen.has("uu"));
    for (const together of seen) assert.match(together, /^(u+|c)$/);
  });

  it("go on after a failure", async () => {
    const lock = new SharedLock();
    await assert.rejects(
      lock.share(() => Promise.reject(new Error("use"))),
      /use/,
    );
    await assert.rejects(
      lock.hold("test", 1_000, () => Promise.reject(new Error("clean"))),
      /clean/,
    );
    assert.equal(await lock.share(() => Promise.resolve(1)), 1);
    assert.equal(await lock.hold("test", 1_000, () => Promise.resolve(2)), 2);
  });

  it("do not wait for each other without end", async () => {
    const lock = new SharedLock();
    let release: (value: string) => void = () => {
      assert.fail("nothing to release yet");
    };
    const hanging = lock.share(() => new Promise<string>((resolve) => (release = resolve)));
    await assert.rejects(
      lock.hold("collect", 30, () => Promise.resolve()),
      {
        kind: "deadline-exceeded",
        message: /collect: waiting for other work to end/,
      },
    );
    assert.equal(await lock.share(() => Promise.resolve("next")), "next");
    release("done");
    assert.equal(await hanging, "done");
    await lock.hold("collect", 30, () => Promise.resolve());
  });
});
