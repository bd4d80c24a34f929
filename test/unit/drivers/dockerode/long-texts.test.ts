import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fromPull, fromStatus, fromThrown } from "../../../../src/drivers/dockerode/errors.js";
import { DaemonError, Malformed } from "../../../../src/drivers/dockerode/failures.js";
import { longestStop } from "../../../support/event-loop.js";

const mebibyte = 1024 * 1024;
const operations = ["images.pull", "containers.create", "containers.start", "containers.update"];

/** What the expressions look for, and what they skip on their way. */
const pieces = fc.constantFrom(
  ...["a", "/", "@", ":", " ", "\n", "\t", '"', "é", "\u{1f600}", "\0"],
  ...["for ", "https://", 'exec: "', 'container name "', "status: 5", "x509", ": ", "timeout", ": EOF"],
);

/** A piece, or a few in turn, up to a mebibyte of it, and something else at the end. */
const texts = fc
  .record({
    turn: fc.array(pieces, { minLength: 1, maxLength: 3 }),
    length: fc.oneof(fc.constant(mebibyte), fc.nat(mebibyte)),
    end: fc.array(pieces, { maxLength: 3 }),
  })
  .map(({ turn, length, end }) => turn.join("").repeat(length).slice(0, length) + end.join(""));

describe("a text of any length from Docker, a registry or a proxy", () => {
  it("is looked at without a stop of the event loop, and quoted in a bounded error", async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.constantFrom(...operations), async (text, operation) => {
        const asked = { operation, request: "POST /x", endpoint: "unix:///run/d.sock" };
        const thrown = [new DaemonError(text), new Malformed(text), new Error(text)];
        const stopMs = await longestStop(() => {
          const errors = [
            ...[200, 400, 403, 404, 409, 500].map((status) => fromStatus(asked, status, text)),
            fromPull(asked, text),
            ...thrown.map((error) => fromThrown(asked, error)),
          ];
          for (const { message } of errors) assert.ok(message.length < 6_000, `${message.length}`);
        });
        assert.ok(stopMs < 100, `the event loop stood for ${stopMs} ms`);
      }),
      { numRuns: 100 },
    );
  });

  it("does not stop it for 100 KB without a space, which took a quadratic expression 35 s", async () => {
    const asked = {
      operation: "images.pull",
      request: "POST /images/create",
      endpoint: "unix:///run/d.sock",
    };
    const stopMs = await longestStop(() => fromStatus(asked, 403, "x".repeat(100_000)));
    assert.ok(stopMs < 100, `the event loop stood for ${stopMs} ms`);
  });
});
