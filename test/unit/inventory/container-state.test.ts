import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { DockerContainer, DockerContainerState, DockerEvent } from "../../../src/docker/index.js";
import {
  isPresent,
  isStuck,
  newContainer,
  nextState,
  type ContainerInput,
  type ContainerState,
} from "../../../src/inventory/container-state.js";
import type { LifeEvent } from "../../../src/inventory/life-events.js";
import { stageOf, toRecord } from "../../../src/inventory/record.js";

const second = 1_000_000_000n;
const id = "c".repeat(64);
const ours = { "io.kubernetes.docker.type": "container", "io.kubernetes.sandbox.id": "a".repeat(64) };

function docker(
  state: Partial<DockerContainerState>,
  labels: Record<string, string> = ours,
): DockerContainer {
  return {
    id,
    name: "k8s_main_pod_default_uid_0",
    createdAtNanos: 1n * second,
    state: { running: false, paused: false, oomKilled: false, dead: false, ...state },
    config: { labels },
    host: {},
    mounts: [],
    networks: [],
    execIds: [],
  };
}

const created = docker({ status: "created" });
const running = docker({ status: "running", running: true, pid: 7, startedAtNanos: 10n * second });
const exited = docker({
  status: "exited",
  exitCode: 3,
  startedAtNanos: 10n * second,
  finishedAtNanos: 20n * second,
});
const foreign = docker({ status: "created" }, { "io.kubernetes.docker.type": "other" });

function event(action: string, atSeconds: number, attributes: Record<string, string> = {}): ContainerInput {
  const timeNanos = BigInt(atSeconds) * second;
  const happened: DockerEvent = { type: "container", action, subject: id, timeNanos, attributes };
  return { kind: "event", event: happened, happenedAtMs: atSeconds * 1000 };
}

const inspecting = (atSeconds: number): ContainerInput => ({
  kind: "inspecting",
  sentAtMs: atSeconds * 1000,
});
const inspected = (answer: DockerContainer, processGone = false): ContainerInput => ({
  kind: "inspected",
  record: toRecord(answer, { processGone }),
});
const described: ContainerInput = { kind: "described", record: toRecord(created, { provisional: true }) };
const unanswered: ContainerInput = { kind: "unanswered" };
const notFound: ContainerInput = { kind: "not-found" };
const removed: ContainerInput = { kind: "removed" };
const timeout: ContainerInput = { kind: "timeout" };

/** Feeds inputs to a new container. @returns The last state, all life events, and what was asked for after each. */
function feed(...inputs: readonly ContainerInput[]) {
  let state = newContainer;
  const lifeEvents: LifeEvent[] = [];
  const asked: string[] = [];
  for (const input of inputs) {
    const transition = nextState(state, input, 99n * second);
    state = transition.state;
    lifeEvents.push(...transition.lifeEvents);
    const { next } = transition;
    asked.push(next === undefined ? "-" : next === "inspect" ? next : String(next.timeoutMs));
  }
  const types = lifeEvents.map(({ type }) => type).join(" ");
  return { state, lifeEvents, types, asked: asked.join(" ") };
}

describe("the state of a container", () => {
  const table: readonly (readonly [
    what: string,
    inputs: readonly ContainerInput[],
    phase: ContainerState["phase"],
    lifeEvents: string,
    asked: string,
  ])[] = [
    [
      "an event is inspected after others had time to come",
      [event("create", 1), timeout],
      "new",
      "",
      "10 inspect",
    ],
    [
      "events of one moment lead to one inspect",
      [event("create", 1), event("start", 1), timeout, inspecting(2), inspected(running)],
      "known",
      "created started",
      "10 - inspect - -",
    ],
    [
      "an inspect of our own covers the events before it",
      [event("create", 1), inspecting(2), inspected(created), timeout],
      "known",
      "created",
      "10 - - -",
    ],
    [
      "an event that is older than the inspect changes nothing, even when it comes late",
      [inspecting(30), inspected(exited), event("start", 10), event("die", 20)],
      "known",
      "created started stopped",
      "- - - -",
    ],
    [
      "an event from before an inspect is contained in its answer, whatever it was",
      [inspecting(30), inspected(running), event("pause", 12)],
      "known",
      "created started",
      "- - -",
    ],
    [
      "an event during an inspect that its answer reflects needs no further inspect",
      [inspecting(5), event("start", 10), inspected(running)],
      "known",
      "created started",
      "- - -",
    ],
    [
      "an event during an inspect that its answer does not reflect is inspected",
      [inspecting(5), event("start", 10), inspected(created), timeout, inspecting(11), inspected(running)],
      "known",
      "created started",
      "- - 10 inspect - -",
    ],
    [
      "events tell what the next inspect no longer shows",
      [
        inspecting(5),
        inspected(created),
        event("start", 10),
        event("die", 20),
        event("start", 30),
        timeout,
        inspecting(31),
        inspected(docker({ ...running.state, startedAtNanos: 30n * second })),
      ],
      "known",
      "created started stopped started",
      "- - 10 - - inspect - -",
    ],
    [
      "an unanswered inspect is retried, and events count meanwhile",
      [
        inspecting(5),
        inspected(created),
        event("start", 10),
        timeout,
        inspecting(11),
        unanswered,
        timeout,
        inspecting(14),
        inspected(running),
      ],
      "known",
      "created started",
      "- - 10 inspect - 2000 inspect - -",
    ],
    [
      "retries take longer each time, up to a limit",
      Array.from({ length: 6 }, () => [inspecting(5), unanswered]).flat(),
      "new",
      "",
      "- 2000 - 4000 - 8000 - 16000 - 30000 - 30000",
    ],
    [
      "an event during the wait for a retry is inspected soon",
      [inspecting(5), unanswered, event("start", 10), timeout],
      "new",
      "",
      "- 2000 10 inspect",
    ],
    [
      "a description is used while Docker does not answer",
      [described, inspecting(5), unanswered, timeout, inspecting(8), inspected(created)],
      "known",
      "created",
      "- - 2000 inspect - -",
    ],
    [
      "a description is not used when Docker answers",
      [described, inspecting(5), inspected(running), described],
      "known",
      "created started",
      "- - - -",
    ],
    ["a container that is not found never was one", [inspecting(5), notFound], "gone", "", "- -"],
    [
      "one that ran stops before it is deleted",
      [inspecting(5), inspected(running), notFound],
      "gone",
      "created started stopped deleted",
      "- - -",
    ],
    [
      "one that Docker destroys is deleted at once",
      [inspecting(21), inspected(exited), event("destroy", 30)],
      "gone",
      "created started stopped deleted",
      "- - -",
    ],
    [
      "one that we removed waits for the events of its end",
      [inspecting(11), inspected(running), removed, removed, event("die", 20), event("destroy", 21), timeout],
      "gone",
      "created started stopped deleted",
      "- - 2000 - - - -",
    ],
    [
      "one that we removed ends without them, too",
      [inspecting(21), inspected(exited), removed, timeout],
      "gone",
      "created started stopped deleted",
      "- - 2000 -",
    ],
    [
      "an answer to an inspect from before our removal is ignored",
      [inspecting(11), inspected(running), inspecting(12), removed, inspected(running), notFound, unanswered],
      "removed",
      "created started",
      "- - - 2000 - - -",
    ],
    [
      "one that is not ours is ignored, until it gets another name",
      [
        inspecting(5),
        inspected(foreign),
        event("start", 10),
        event("rename", 11),
        timeout,
        inspecting(12),
        inspected(created),
      ],
      "known",
      "created",
      "- - - 10 inspect - -",
    ],
    [
      "one that is ours no longer is deleted",
      [inspecting(5), inspected(created), event("rename", 11), timeout, inspecting(12), inspected(foreign)],
      "foreign",
      "created deleted",
      "- - 10 inspect - -",
    ],
    [
      "what is gone stays gone",
      [inspecting(5), notFound, event("start", 10), inspecting(11), inspected(running)],
      "gone",
      "",
      "- - - - -",
    ],
    [
      "a timeout without a timer does nothing",
      [timeout, inspecting(5), inspected(created), timeout],
      "known",
      "created",
      "- - - -",
    ],
  ];
  for (const [what, inputs, phase, lifeEvents, asked] of table) {
    it(what, () => {
      const found = feed(...inputs);
      assert.deepEqual([found.state.phase, found.types, found.asked], [phase, lifeEvents, asked]);
    });
  }

  it("has the exit code of a removed container from its last event", () => {
    const { lifeEvents } = feed(
      inspecting(11),
      inspected(running),
      removed,
      event("die", 20, { exitCode: "9" }),
      timeout,
    );
    assert.equal(lifeEvents[2]?.record.docker.state.exitCode, 9);
    assert.equal(lifeEvents[2].record.docker.state.finishedAtNanos, 20n * second);
  });

  it("marks a container without a process, until Docker reports its end", () => {
    assert.equal(feed(inspecting(11), inspected(running, true)).state.record?.processGone, true);
    const marked = feed(inspecting(11), inspected(running), inspecting(12), unanswered, {
      kind: "process-gone",
    });
    assert.deepEqual([marked.state.record?.processGone, isStuck(marked.state)], [true, true]);
    const again = feed(
      inspecting(11),
      inspected(running),
      { kind: "process-gone" },
      inspecting(21),
      inspected(exited),
    );
    assert.deepEqual(
      [again.state.record?.processGone, isStuck(again.state), again.types],
      [false, false, "created started stopped"],
    );
    assert.equal(feed({ kind: "process-gone" }).state.record, undefined);
  });

  it("orders events by their arrival when the engine has its own clock", () => {
    const late = { ...event("die", 20), happenedAtMs: undefined } as ContainerInput;
    assert.equal(feed(inspecting(30), inspected(running), late).asked, "- - 10");
    assert.equal(feed(inspecting(30), inspected(exited), late).asked, "- - -");
  });
});

/** What a simulated Docker, and the connection to it, do next. */
type Move = "start" | "die" | "deliver" | "send" | "answer" | "fail" | "wait" | "destroy" | "remove";

/**
 * One container in a simulated Docker with one inspect at a time: events are delivered in order, but at any time
 * later; an inspect shows the container as it was at any time between its request and its answer.
 */
class Simulation {
  state = newContainer;
  readonly emitted: LifeEvent[] = [];
  readonly happened: string[] = ["created"];
  exists = true;
  private now = 1;
  private truth = created;
  private readonly undelivered: ContainerInput[] = [];
  private underWay: { answer: DockerContainer | undefined } | undefined;
  private wantsInspect = false;
  private wantsTimeout = false;

  constructor(private readonly sameClock: boolean) {
    this.emit("create");
  }

  /** Does a move where it is possible. */
  move(move: Move): void {
    this.now++;
    const { running: runs } = this.truth.state;
    const at = BigInt(this.now) * second;
    switch (move) {
      case "start":
        if (!this.exists || runs) return;
        this.truth = docker({ status: "running", running: true, pid: this.now, startedAtNanos: at });
        this.happened.push("started");
        this.emit("start");
        return;
      case "die":
        if (this.exists && runs) this.end();
        return;
      case "destroy":
      case "remove":
        if (!this.exists) return;
        if (runs) this.end();
        this.now++;
        this.exists = false;
        this.happened.push("deleted");
        this.emit("destroy");
        if (move === "remove") this.input({ kind: "removed" });
        return;
      case "deliver": {
        const delivered = this.undelivered.shift();
        if (delivered) this.input(delivered);
        return;
      }
      case "send":
        if (!this.wantsInspect || this.underWay || !isPresent(this.state)) return;
        this.wantsInspect = false;
        this.input({ kind: "inspecting", sentAtMs: this.now * 1000 });
        this.underWay = { answer: this.exists ? this.truth : undefined };
        return;
      case "answer":
      case "fail": {
        const { underWay } = this;
        if (!underWay) return;
        this.underWay = undefined;
        if (move === "fail") this.input({ kind: "unanswered" });
        else this.input(underWay.answer ? inspected(underWay.answer) : notFound);
        return;
      }
      case "wait":
        if (!this.wantsTimeout) return;
        this.wantsTimeout = false;
        this.input({ kind: "timeout" });
    }
  }

  /** Lets everything arrive and every timer fire, until nothing is left to do. */
  settle(): void {
    for (let round = 0; round < 50; round++) {
      while (this.undelivered.length > 0) this.move("deliver");
      for (const move of ["wait", "send", "answer"] as const) this.move(move);
    }
  }

  get last(): DockerContainer | undefined {
    return this.exists ? this.truth : undefined;
  }

  private end(): void {
    const { startedAtNanos = 0n } = this.truth.state;
    const finishedAtNanos = BigInt(this.now) * second;
    this.truth = docker({ status: "exited", exitCode: this.now % 256, startedAtNanos, finishedAtNanos });
    this.happened.push("stopped");
    this.emit("die", { exitCode: String(this.now % 256) });
  }

  private emit(action: string, attributes: Record<string, string> = {}): void {
    const input = event(action, this.now, attributes);
    this.undelivered.push(this.sameClock ? input : ({ ...input, happenedAtMs: undefined } as ContainerInput));
  }

  private input(input: ContainerInput): void {
    const { state, lifeEvents, next } = nextState(this.state, input, BigInt(this.now) * second);
    this.state = state;
    this.emitted.push(...lifeEvents);
    if (state.timer === undefined) this.wantsTimeout = false;
    if (next === "inspect") this.wantsInspect = true;
    else if (next) this.wantsTimeout = true;
  }
}

const types = (events: readonly LifeEvent[]) => events.map(({ type }) => type);

/** A life is created, then started and stopped in turn, and deleted at most once, after it has stopped. */
const validLife = /^created( started stopped)*(( started)?|( deleted)?)$/;

function isSubsequence(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (const each of whole) if (part[at] === each) at++;
  return at === part.length;
}

describe("the life events of a container, whatever the order in which Docker's events and answers come", () => {
  const moves = fc.array(
    fc.constantFrom<Move>("start", "die", "deliver", "deliver", "send", "answer", "fail", "wait", "wait"),
    { maxLength: 60 },
  );
  const end = fc.constantFrom<Move>("destroy", "remove", "wait");

  for (const sameClock of [true, false]) {
    const clock = sameClock ? "one clock" : "a clock of the engine's own";
    it(`are each emitted once and in order, and the record ends as Docker's state, with ${clock}`, () => {
      fc.assert(
        fc.property(moves, end, moves, (before, ending, after) => {
          const simulation = new Simulation(sameClock);
          for (const move of [...before, ending, ...after]) simulation.move(move);
          simulation.settle();
          const emitted = types(simulation.emitted);
          if (emitted.length > 0) assert.match(emitted.join(" "), validLife);
          assert.ok(
            isSubsequence(emitted, simulation.happened),
            `${emitted.join()} of ${simulation.happened.join()}`,
          );
          const { record, phase } = simulation.state;
          assert.equal(phase === "gone", !simulation.exists);
          if (!simulation.last) return;
          assert.deepEqual(record?.docker.state, simulation.last.state);
          assert.equal(record.provisional, false);
        }),
        { numRuns: 5_000 },
      );
    });
  }

  it("are complete when no event overtakes or trails the inspects", () => {
    const life = fc.array(fc.constantFrom<Move>("start", "die", "fail", "send"), { maxLength: 20 });
    fc.assert(
      fc.property(life, end, (moves, ending) => {
        const simulation = new Simulation(true);
        for (const move of ["deliver", "wait", "send", "answer", ...moves, ending] as const) {
          simulation.move(move);
          simulation.move("deliver");
          simulation.move("deliver");
          simulation.move("wait");
        }
        simulation.settle();
        assert.deepEqual(types(simulation.emitted), simulation.happened);
      }),
      { numRuns: 5_000 },
    );
  });

  it("have a time and a record that never go back", () => {
    fc.assert(
      fc.property(moves, (before) => {
        const simulation = new Simulation(true);
        for (const move of before) simulation.move(move);
        simulation.settle();
        const starts = simulation.emitted.filter(({ type }) => type === "started");
        const times = starts.map(({ record }) => record.docker.state.startedAtNanos ?? 0n);
        assert.deepEqual(
          times,
          [...new Set(times)].sort((a, b) => Number(a - b)),
        );
        for (const { type, record } of simulation.emitted) {
          const stage = stageOf(record.docker);
          assert.equal(
            stage,
            { created: "created", started: "running", stopped: "exited", deleted: stage }[type],
          );
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
