import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Signal } from "../../../src/gen/runtime/v1/api_pb.js";
import { fromDockerSignal, toDockerSignal } from "../../../src/translate/signals.js";
import { refuses, unknownEnum } from "./refuses.js";

const signals = Object.values(Signal).filter((value): value is Signal => typeof value === "number");

describe("signals", () => {
  it("names each of CRI's signals as Docker does, and back", () => {
    assert.equal(signals.length, 66);
    for (const signal of signals) {
      const name = toDockerSignal(signal, "stop_signal");
      if (signal === Signal.RUNTIME_DEFAULT) assert.equal(name, undefined);
      else {
        assert.match(name ?? "", /^SIG([A-Z]+[0-9]?|RTMIN\+\d+|RTMAX-\d+)$/);
        assert.equal(fromDockerSignal(name ?? ""), signal);
      }
    }
  });

  for (const [text, signal] of [
    ["SIGTERM", Signal.SIGTERM],
    ["term", Signal.SIGTERM],
    ["15", Signal.SIGTERM],
    ["9", Signal.SIGKILL],
    ["1", Signal.SIGHUP],
    ["31", Signal.SIGSYS],
    ["SIGRTMIN+3", Signal.SIGRTMINPLUS3],
    ["RTMAX-2", Signal.SIGRTMAXMINUS2],
    ["34", Signal.SIGRTMIN],
    ["37", Signal.SIGRTMINPLUS3],
    ["49", Signal.SIGRTMINPLUS15],
    ["50", Signal.SIGRTMAXMINUS14],
    ["64", Signal.SIGRTMAX],
    ["0", Signal.RUNTIME_DEFAULT],
    ["32", Signal.RUNTIME_DEFAULT],
    ["65", Signal.RUNTIME_DEFAULT],
    ["", Signal.RUNTIME_DEFAULT],
    ["SIGNONSENSE", Signal.RUNTIME_DEFAULT],
    ["__proto__", Signal.RUNTIME_DEFAULT],
  ] as const) {
    it(`reads ${JSON.stringify(text)} as ${Signal[signal]}`, () => {
      assert.equal(fromDockerSignal(text), signal);
    });
  }

  it("refuses a signal that CRI does not know", () => {
    refuses("invalid-argument", /stop_signal has the value 99/, () =>
      toDockerSignal(unknownEnum(), "stop_signal"),
    );
  });
});
