import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { file_runtime_v1_api } from "../../src/gen/runtime/v1/api_pb.js";
import { builtStatements } from "./built-descriptor.js";
import { publishedStatements } from "./published-table.js";
import { count, differences } from "./statements.js";

const none = { missing: [], extra: [], changed: [] };

describe("the generated contract", () => {
  const published = publishedStatements();
  const built = builtStatements(file_runtime_v1_api);

  it("equals the published CRI v1", () => {
    assert.deepEqual(differences(published, built), none);
  });

  // A table cut short would agree with a contract cut short.
  it("is the whole of it", () => {
    const kinds = ["service", "rpc", "message", "enum"].map((kind) => [kind, count(built, kind)]);
    assert.deepEqual(Object.fromEntries(kinds), { service: 2, rpc: 43, message: 175, enum: 11 });
    assert.equal(file_runtime_v1_api.enums.length, 10);
  });
});

describe("differences", () => {
  it("reports missing, extra and changed elements", () => {
    const published = new Map([
      ["field Mount.readonly", "3 bool"],
      ["field Mount.image", "9 ImageSpec"],
    ]);
    const built = new Map([
      ["field Mount.readonly", "4 bool"],
      ["field Mount.size", "9 int64"],
    ]);
    assert.deepEqual(differences(published, built), {
      missing: ["field Mount.image"],
      extra: ["field Mount.size"],
      changed: ['field Mount.readonly: published "3 bool", built "4 bool"'],
    });
  });
});
