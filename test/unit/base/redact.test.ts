import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import fc from "fast-check";
import { messageOf, ShimError, withoutCredentials } from "../../../src/base/index.js";
import { longestStop } from "../../support/event-loop.js";

describe("withoutCredentials", () => {
  it("takes logins out, in addresses and in image names, and leaves the rest", () => {
    for (const [text, shown] of [
      ["get https://user:secret@registry.example/v2/: EOF", "get https://***@registry.example/v2/: EOF"],
      ['no image "user:secret@registry.example/app:1"', 'no image "***@registry.example/app:1"'],
      ["user:p@ss@host", "***@host"],
      [`app:1@sha256:${"0".repeat(64)}`, `app:1@sha256:${"0".repeat(64)}`],
      ["host:5000/app:1 failed: nobody@example", "host:5000/app:1 failed: nobody@example"],
    ] as const) {
      assert.equal(withoutCredentials(text), shown);
      assert.equal(new ShimError("internal", text).message, shown);
    }
  });

  it("takes out what Node quotes of an argument with a NUL byte", () => {
    assert.throws(
      () => spawn("true", ["--password=secret\0"]),
      (error) => {
        assert.match(messageOf(error), /secret/);
        assert.doesNotMatch(withoutCredentials(messageOf(error)), /secret/);
        return true;
      },
    );
  });

  it("hides every password, and takes no time for long texts", async () => {
    const word = fc.stringMatching(/^[A-Za-z0-9!?.:-]{3,12}$/);
    fc.assert(
      fc.property(word, word, (user, password) => {
        const text = `https://${user}:${password}@registry.example/x`;
        assert.equal(withoutCredentials(text), "https://***@registry.example/x");
      }),
    );
    for (const piece of ["a", ":", "@", "a:@", "a:b@ ", "without null bytes. Received "])
      assert.ok(
        (await longestStop(() => withoutCredentials(piece.repeat(2 ** 20 / piece.length)))) < 100,
        piece,
      );
  });
});
