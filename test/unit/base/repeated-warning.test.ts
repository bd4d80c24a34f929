import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { RepeatedWarning } from "../../../src/base/index.js";

interface Line {
  readonly msg: string;
  readonly container: string;
  readonly containers?: number;
  readonly err?: string;
}

describe("RepeatedWarning", () => {
  function lab() {
    const lines: Line[] = [];
    const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line) as Line) });
    return { lines, warning: new RepeatedWarning(log, { failing: "failing", recovered: "recovered" }) };
  }

  it("logs one line for many containers, then one a minute with their number", (t) => {
    const { lines, warning } = lab();
    let now = 5_000;
    t.mock.method(performance, "now", () => now);
    for (let second = 0; second < 125; second++, now += 1_000)
      for (let i = 0; i < 60; i++) warning.of(`c${i}`).failed(new Error("Docker is away"));
    assert.deepEqual(
      lines.map(({ msg, container, containers, err }) => ({ msg, container, containers, err })),
      [1, 60, 60].map((containers) => ({
        msg: "failing",
        container: "c0",
        containers,
        err: "Docker is away",
      })),
    );
  });

  it("logs one line when the last container has recovered", () => {
    const { lines, warning } = lab();
    for (const id of ["a", "b", "c"]) warning.of(id).failed(new Error("away"));
    warning.of("b").forget();
    warning.of("a").recovered();
    assert.equal(lines.length, 1);
    for (let i = 0; i < 3; i++) warning.of("c").recovered();
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ["failing", "recovered"],
    );
  });

  it("logs no further lines within a minute for a container that fails and recovers in turn", () => {
    const { lines, warning } = lab();
    for (let i = 0; i < 100; i++) {
      warning.of("a").failed(new Error("away"));
      warning.of("a").recovered();
    }
    assert.equal(lines.length, 2);
  });
});
