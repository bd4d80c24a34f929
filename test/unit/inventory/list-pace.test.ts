import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ListPace } from "../../../src/inventory/list-pace.js";

describe("the pace of verifying lists", () => {
  it("is 2 s on a small node, so that missed events are found within 3 s", () => {
    const pace = new ListPace();
    assert.equal(pace.pauseMs, 2_000);
    pace.took(10, 100);
    assert.equal(pace.pauseMs, 2_000);
  });

  it("slows down with the number of containers and with Docker", () => {
    const pace = new ListPace();
    pace.took(10, 300);
    assert.equal(pace.pauseMs, 6_000);
    pace.took(10, 20);
    assert.equal(pace.pauseMs, 2_000);
    for (let round = 0; round < 20; round++) pace.took(1_000, 20);
    assert.equal(pace.pauseMs, 40_000);
    for (let round = 0; round < 20; round++) pace.took(60_000, 20);
    assert.equal(pace.pauseMs, 120_000);
  });

  it("does not slow down for one list that was delayed", () => {
    const pace = new ListPace();
    pace.took(20, 20);
    pace.took(5_000, 20);
    assert.equal(pace.pauseMs, 2_000);
  });

  it("is slower by a factor for images", () => {
    const pace = new ListPace(5);
    pace.took(100);
    assert.equal(pace.pauseMs, 20_000);
  });
});
