import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { RecentSet } from "../../../../src/network/cni/recent-set.js";
import { UseOrClean } from "../../../../src/network/cni/use-or-clean.js";

describe("uses and cleanings", () => {
  it("never run together; uses do", async () => {
    const gate = new UseOrClean();
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
      ...["u1", "u2"].map((name) => gate.use(work(name))),
      ...["c1", "c2"].map((name) => gate.clean("test", 5_000, work(name))),
      delay(7).then(() => gate.use(work("u3"))),
      delay(12).then(() => gate.use(work("u4"))),
    ]);
    assert.ok(seen.has("uu"));
    for (const together of seen) assert.match(together, /^(u+|c)$/);
  });

  it("go on after a failure", async () => {
    const gate = new UseOrClean();
    await assert.rejects(
      gate.use(() => Promise.reject(new Error("use"))),
      /use/,
    );
    await assert.rejects(
      gate.clean("test", 1_000, () => Promise.reject(new Error("clean"))),
      /clean/,
    );
    assert.equal(await gate.use(() => Promise.resolve(1)), 1);
    assert.equal(await gate.clean("test", 1_000, () => Promise.resolve(2)), 2);
  });

  it("do not wait for each other without end", async () => {
    const gate = new UseOrClean();
    let release: (value: string) => void = () => {
      assert.fail("nothing to release yet");
    };
    const hanging = gate.use(() => new Promise<string>((resolve) => (release = resolve)));
    await assert.rejects(
      gate.clean("collect", 30, () => Promise.resolve()),
      {
        kind: "deadline-exceeded",
        message: /collect: waiting for other work to end/,
      },
    );
    assert.equal(await gate.use(() => Promise.resolve("next")), "next");
    release("done");
    assert.equal(await hanging, "done");
    await gate.clean("collect", 30, () => Promise.resolve());
  });
});

describe("a recent set", () => {
  it("forgets its oldest members", () => {
    const set = new RecentSet(2);
    for (const member of ["a", "b", "a", "c"]) set.add(member);
    assert.deepEqual(
      ["a", "b", "c"].map((member) => set.has(member)),
      [true, false, true],
    );
    set.delete("a");
    assert.equal(set.has("a"), false);
  });
});
