import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DockerContainer, DockerContainerState, DockerEvent } from "../../../src/docker/index.js";
import {
  eventsMissingFrom,
  isOlder,
  lifeEventsBetween,
  lifeEventsOfEnd,
  reflects,
} from "../../../src/inventory/life-events.js";
import {
  afterEvent,
  toRecord,
  type ContainerRecord,
  type RecordMarks,
} from "../../../src/inventory/record.js";

const second = 1_000_000_000n;

function docker(state: Partial<DockerContainerState>): DockerContainer {
  return {
    id: "c".repeat(64),
    name: "k8s_main_pod_default_uid_0",
    createdAtNanos: 1n * second,
    state: { running: false, paused: false, oomKilled: false, dead: false, ...state },
    config: {
      labels: { "io.kubernetes.docker.type": "container", "io.kubernetes.sandbox.id": "a".repeat(64) },
    },
    host: {},
    mounts: [],
    networks: [],
    execIds: [],
  };
}

function record(state: Partial<DockerContainerState>, marks?: RecordMarks): ContainerRecord {
  const made = toRecord(docker(state), marks);
  assert.ok(made);
  return made;
}

const created = { status: "created" } as const;
const running = { status: "running", running: true, pid: 7, startedAtNanos: 10n * second } as const;
const exited = {
  status: "exited",
  exitCode: 3,
  startedAtNanos: 10n * second,
  finishedAtNanos: 20n * second,
} as const;
const overAtOnce = { ...exited, finishedAtNanos: 10n * second - 1_000_000n } as const;
const runningAgain = { ...running, startedAtNanos: 21n * second, finishedAtNanos: 20n * second } as const;
const exitedAgain = { ...exited, startedAtNanos: 21n * second, finishedAtNanos: 22n * second } as const;

function event(action: string, atNanos: bigint, attributes: Record<string, string> = {}): DockerEvent {
  return { type: "container", action, subject: "c".repeat(64), timeNanos: atNanos, attributes };
}

describe("the life events between two records", () => {
  const table: readonly (readonly [string, ContainerRecord | undefined, ContainerRecord, string])[] = [
    ["new and created", undefined, record(created), "created"],
    ["new and running", undefined, record(running), "created started"],
    ["new and over", undefined, record(exited), "created started stopped"],
    ["nothing", record(running), record(running), ""],
    ["started", record(created), record(running), "started"],
    ["over before it was seen running", record(created), record(exited), "started stopped"],
    ["a start that failed", record(created), record({ status: "exited", exitCode: 127 }), "stopped"],
    ["stopped", record(running), record(exited), "stopped"],
    ["started again", record(exited), record(runningAgain), "started"],
    ["a whole life unseen", record(exited), record(exitedAgain), "started stopped"],
    ["a restart unseen", record(running), record(runningAgain), "stopped started"],
    ["a restart and an end unseen", record(running), record(exitedAgain), "stopped started stopped"],
    [
      "Docker's own word on a start that an event told, a moment apart",
      record({ ...running, startedAtNanos: 10n * second + 400_000_000n }, { provisional: true }),
      record(running),
      "",
    ],
    [
      "a life within milliseconds after an end that an event told",
      record({ ...exited, finishedAtNanos: 20n * second }, { provisional: true }),
      record({
        ...exited,
        startedAtNanos: 20n * second + 2_000_000n,
        finishedAtNanos: 20n * second + 5_000_000n,
      }),
      "started stopped",
    ],
    ["an end that Docker noted before its start", record(overAtOnce), record(overAtOnce), ""],
    [
      "another end like it",
      record(overAtOnce),
      record({ ...overAtOnce, startedAtNanos: 11n * second, finishedAtNanos: 11n * second - 1n }),
      "started stopped",
    ],
    ["paused is running", record(running), record({ ...running, status: "paused", paused: true }), ""],
  ];
  for (const [what, before, after, steps] of table) {
    it(`${what}: ${steps === "" ? "none" : steps}`, () => {
      const found = lifeEventsBetween(before, after, 99n * second).map(({ type }) => type);
      assert.equal(found.join(" "), steps);
    });
  }

  it("shows an unobserved stop as stopped, with an unknown exit code", () => {
    const [stopped] = lifeEventsBetween(record(running), record(runningAgain), 99n * second);
    assert.equal(stopped?.record.docker.state.running, false);
    assert.equal(stopped.record.docker.state.exitCode, undefined);
    assert.equal(stopped.record.docker.state.finishedAtNanos, 21n * second);
  });

  it("lets nothing be deleted that has not stopped", () => {
    const types = (last: ContainerRecord) => lifeEventsOfEnd(last, 30n * second).map(({ type }) => type);
    assert.deepEqual(types(record(running)), ["stopped", "deleted"]);
    assert.deepEqual(types(record(exited)), ["deleted"]);
    assert.deepEqual(types(record(created)), ["deleted"]);
  });
});

describe("events that an inspect result does not reflect", () => {
  const start = event("start", 10n * second);
  const die = event("die", 20n * second, { exitCode: "9" });
  const startAgain = event("start", 21n * second);
  const table: readonly (readonly [string, DockerEvent[], Partial<DockerContainerState>, DockerEvent[]])[] = [
    ["the end that it shows", [die], exited, []],
    ["the start before it", [start, die], exited, [start]],
    ["an end after which it was started again", [die], runningAgain, [die]],
    ["an end after which it lived again", [die], exitedAgain, [die]],
    ["an end before the start that it shows", [die, startAgain], runningAgain, [die]],
    ["none at all", [], running, []],
  ];
  for (const [what, events, state, missing] of table) {
    it(what, () => {
      assert.deepEqual(eventsMissingFrom(docker(state), events, undefined), missing);
    });
  }

  it("are empty when the start is already known", () => {
    assert.deepEqual(eventsMissingFrom(docker(exited), [start, die], record(running)), []);
    assert.deepEqual(eventsMissingFrom(docker(exited), [start, die], record(created)), [start]);
    const told = record(running, { provisional: true });
    assert.deepEqual(eventsMissingFrom(docker(exited), [start, die], told), [start]);
  });

  for (const [what, state, action, atSeconds, shown] of [
    ["a create", {}, "create", 30n, true],
    ["its start", running, "start", 10n, true],
    ["its start, though it has ended", exited, "start", 10n, true],
    ["a start by whose event it had ended", overAtOnce, "start", 10n, false],
    ["a later start", running, "start", 12n, false],
    ["a start before the one shown", running, "start", 9n, false],
    ["a start of one that never was", {}, "start", 10n, false],
    ["its end", exited, "die", 20n, true],
    ["a later end", exited, "die", 22n, false],
    ["the end of one that runs", { ...running, finishedAtNanos: 20n * second }, "die", 20n, false],
    ["a kill for want of memory", exited, "oom", 20n, false],
  ] as const) {
    it(`are ${shown ? "" : "not "}shown by an answer: ${what}`, () => {
      assert.equal(reflects(docker(state), event(action, atSeconds * second)), shown);
    });
  }

  for (const [what, state, atSeconds, older] of [
    ["before a start", running, 9n, true],
    ["at a start", running, 10n, false],
    ["before an end", exited, 19n, true],
    ["after an end", exited, 21n, false],
    ["of one that never started", created, 9n, false],
  ] as const) {
    it(`are ${older ? "" : "not "}older than an answer: ${what}`, () => {
      assert.equal(isOlder(event("die", atSeconds * second), docker(state)), older);
    });
  }

  it("bring exit code, time and the OOM killer into the record", () => {
    const oom = afterEvent(docker(running), event("oom", 19n * second));
    const dead = afterEvent(oom, event("die", 20n * second, { exitCode: "137" }));
    assert.deepEqual(
      { ...dead.state },
      {
        status: "exited",
        running: false,
        paused: false,
        dead: false,
        oomKilled: true,
        exitCode: 137,
        startedAtNanos: 10n * second,
        finishedAtNanos: 20n * second,
      },
    );
    const nonsense = afterEvent(docker(running), event("die", 20n * second, { exitCode: "x" }));
    assert.equal(nonsense.state.exitCode, undefined);
  });
});
