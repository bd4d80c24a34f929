import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  agree,
  NoCommonVersion,
  parseApiVersion,
  type ApiVersion,
} from "../../../../src/drivers/dockerode/api-version.js";

describe("parseApiVersion", () => {
  it("reads Docker's form and no other", () => {
    assert.deepEqual(parseApiVersion("1.41"), [1, 41]);
    for (const text of [undefined, "", "1", "v1.41", "1.41.2", "1.41\n", "99999.1", "-1.2"])
      assert.equal(parseApiVersion(text), undefined, String(text));
  });
});

describe("agree", () => {
  const never = () => Promise.reject(new Error("must not be asked"));
  const cases: readonly [newest: ApiVersion, agreed: ApiVersion][] = [
    [
      [1, 41],
      [1, 41],
    ],
    [
      [1, 45],
      [1, 45],
    ],
    [
      [1, 48],
      [1, 48],
    ],
  ];
  for (const [newest, agreed] of cases)
    it(`takes ${agreed.join(".")} with an engine of ${newest.join(".")}`, async () => {
      assert.deepEqual(await agree(newest, never), agreed);
    });

  it("uses our newest version with a newer engine that supports it, or does not report its oldest", async () => {
    assert.deepEqual(await agree([1, 52], () => Promise.resolve([1, 44])), [1, 48]);
    assert.deepEqual(await agree([2, 0], () => Promise.resolve([1, 48])), [1, 48]);
    assert.deepEqual(await agree([1, 52], () => Promise.resolve(undefined)), [1, 48]);
  });

  it("reports both version ranges when they do not overlap", async () => {
    await assert.rejects(agree([1, 40], never), (error) => {
      assert.ok(error instanceof NoCommonVersion);
      assert.match(error.message, /API up to 1\.40, docker-cri 1\.41 to 1\.48/);
      return true;
    });
    await assert.rejects(
      agree([1, 60], () => Promise.resolve([1, 49])),
      /API 1\.49 to 1\.60, docker-cri 1\.41 to 1\.48/,
    );
  });
});
