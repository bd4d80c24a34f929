import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RepeatedFailures } from "../../../src/rpc/repeated-failures.js";

describe("RepeatedFailures", () => {
  it("has a line for the first, for another one, for one after a success, and one with a count after 10 minutes", () => {
    const failures = new RepeatedFailures();
    assert.equal(failures.count("a", "no", 0), 1);
    for (let second = 10; second < 600; second += 10)
      assert.equal(failures.count("a", "no", second * 1000), undefined);
    assert.equal(failures.count("a", "no", 600_000), 60);
    assert.equal(failures.count("a", "other", 600_001), 1);
    assert.equal(failures.count("b", "no", 600_002), 1);
    failures.forget("a");
    assert.equal(failures.count("a", "other", 600_003), 1);
  });

  it("keeps at most a thousand", () => {
    const failures = new RepeatedFailures();
    for (let index = 0; index < 2_000; index++) failures.count(String(index), "no", 0);
    assert.equal(failures.count("1999", "no", 1), undefined);
    assert.equal(failures.count("0", "no", 1), 1);
  });
});
