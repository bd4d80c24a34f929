import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { isKind, messageOf, type ErrorKind } from "../../../src/base/index.js";
import type {
  AttachedStream,
  DockerContainer,
  DockerContainerConfig,
  DockerEvent,
  DockerExecSpec,
  DockerHostConfig,
  DockerService,
  LogFrame,
  LogOptions,
  OutputFrame,
} from "../../../src/docker/index.js";

/** What a driver's test gives the suite. */
export interface OpenedService {
  readonly service: DockerService;
  /** A busybox that is on the engine. */
  readonly image: string;
  /** An image that can be pulled; without one the pull of an image that exists is not tested. */
  readonly pullable?: string;
  close(): Promise<void>;
}

/** Opens a service for one part of the suite. */
export type OpenService = () => Promise<OpenedService>;

/** The longest wait for something that the engine does by itself, in milliseconds: the machine may be busy. */
const patienceMs = 60_000;

/** What the tests of one part do with the engine; it remembers what is to be tidied up. */
export class Scene {
  private readonly made: string[] = [];

  constructor(private readonly opened: OpenedService) {}

  get service(): DockerService {
    return this.opened.service;
  }

  get image(): string {
    return this.opened.image;
  }

  get pullable(): string | undefined {
    return this.opened.pullable;
  }

  /** Makes a container and does not start it. @returns Its id. */
  async create(
    command: readonly string[],
    more: {
      readonly name?: string;
      readonly config?: DockerContainerConfig;
      readonly host?: DockerHostConfig;
    } = {},
  ): Promise<string> {
    const { id } = await this.service.containers.create({
      name: more.name ?? uniqueName(),
      config: { image: this.image, command, ...more.config },
      host: { networkMode: "host", ...more.host },
    });
    this.made.push(id);
    return id;
  }

  /** Makes a container and starts it. @returns Its id. */
  async run(command: readonly string[], more: Parameters<Scene["create"]>[1] = {}): Promise<string> {
    const id = await this.create(command, more);
    await this.service.containers.start(id);
    return id;
  }

  /** Runs a shell script to its end. @returns The container as it then is. */
  async runToEnd(script: string, more: Parameters<Scene["create"]>[1] = {}): Promise<DockerContainer> {
    return await this.ended(await this.run(["sh", "-c", script], more));
  }

  /** Waits until a container has ended. */
  async ended(id: string): Promise<DockerContainer> {
    return await until(`container ${id} to end`, async () => {
      const container = await this.service.containers.inspect(id);
      return container.state.running ? undefined : container;
    });
  }

  /** A container that sleeps, for execs. */
  async sleeper(more: Parameters<Scene["create"]>[1] = {}): Promise<string> {
    return await this.run(["sleep", "600"], more);
  }

  /** Makes an exec and starts it. */
  async exec(containerId: string, spec: Partial<DockerExecSpec> & Pick<DockerExecSpec, "command">) {
    const whole = { tty: false, stdin: false, stdout: true, stderr: true, ...spec };
    const id = await this.service.execs.create(containerId, whole);
    return { id, stream: await this.service.execs.start(id, { tty: whole.tty }) };
  }

  /** Waits until an exec has ended. @returns Its exit code. */
  async exitCodeOf(execId: string): Promise<number> {
    return await until(`exec ${execId} to end`, async () => {
      const { running, exitCode } = await this.service.execs.inspect(execId);
      return running ? undefined : exitCode;
    });
  }

  async logs(id: string, options?: LogOptions): Promise<LogFrame[]> {
    const entries: LogFrame[] = [];
    // A batch is valid only until the next is requested.
    for await (const batch of this.service.containers.logs(id, options)) entries.push(...batch);
    return entries;
  }

  /** Removes what the tests made, running or not. */
  async tidy(): Promise<void> {
    for (const id of this.made.splice(0)) {
      await this.service.containers.remove(id, { force: true }).catch((error: unknown) => {
        if (!isKind(error, "not-found", "conflict")) throw error;
      });
    }
  }

  async close(): Promise<void> {
    await this.tidy();
    await this.opened.close();
  }
}

/** A name that nothing else has. */
export function uniqueName(): string {
  return `contract-${randomBytes(6).toString("hex")}`;
}

/** Everything that a stream gives. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** The text of one stream of some output. */
export function textOf(frames: readonly OutputFrame[], stream: OutputFrame["stream"] = "stdout"): string {
  const chunks = frames.filter((frame) => frame.stream === stream).map(({ data }) => data);
  return Buffer.concat(chunks).toString();
}

/** Waits, within bounds, until `check` answers something. */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const end = Date.now() + patienceMs;
  for (;;) {
    const answer = await check();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`waited ${patienceMs} ms in vain for ${what}`);
    await delay(20);
  }
}

/** Asserts that something fails with one of the kinds, and that its message says something. */
export async function rejectsWith(
  kinds: ErrorKind | readonly ErrorKind[],
  work: Promise<unknown>,
): Promise<Error> {
  const wanted = typeof kinds === "string" ? [kinds] : kinds;
  try {
    await work;
  } catch (error) {
    assert.ok(isKind(error, ...wanted), `wanted ${wanted.join(" or ")}, got: ${describeError(error)}`);
    assert.ok(error.message.length > 0);
    return error;
  }
  return assert.fail(`wanted ${wanted.join(" or ")}, but it succeeded`);
}

function describeError(error: unknown): string {
  return isKind(error, "internal") ? `internal: ${error.message}` : `${String(error)} ${messageOf(error)}`;
}

/** Follows events in the background. */
export class EventWatch {
  readonly events: DockerEvent[] = [];
  private readonly abort = new AbortController();
  private readonly ended: Promise<void>;

  private constructor(service: DockerService, sinceNanos: bigint | undefined) {
    const { signal } = this.abort;
    const options = sinceNanos === undefined ? { signal } : { signal, sinceNanos };
    const subscription = service.events.subscribe(options);
    this.ready = subscription.ready;
    this.ended = this.follow(subscription);
  }

  readonly ready: Promise<void>;

  /** Subscribes, and waits until the engine has taken the subscription. */
  static async open(service: DockerService, sinceNanos?: bigint): Promise<EventWatch> {
    const watch = new EventWatch(service, sinceNanos);
    await watch.ready;
    return watch;
  }

  private async follow(events: AsyncIterable<DockerEvent>): Promise<void> {
    for await (const event of events) this.events.push(event);
  }

  /** The actions of one container or image, oldest first. */
  actionsOf(subject: string): string[] {
    return this.events.filter((event) => event.subject === subject).map(({ action }) => action);
  }

  /** Waits for an event. */
  async event(subject: string, action: string): Promise<DockerEvent> {
    return await until(`the event ${action} of ${subject}`, () =>
      this.events.find((event) => event.subject === subject && event.action === action),
    );
  }

  /** Ends the subscription, which ends quietly. */
  async close(): Promise<void> {
    this.abort.abort();
    await this.ended;
  }
}

/** Types Ctrl-P, Docker's usual detach keys, and a letter. Each key must show at once, and the session go on. */
export async function typeCtrlP(stream: AttachedStream): Promise<void> {
  let shown = "";
  const reading = (async () => {
    for await (const { data } of stream.output) shown += Buffer.from(data).toString("latin1");
  })();
  const typed = async (keys: string, seen: RegExp) => {
    await stream.write(Buffer.from(keys));
    await until(`${JSON.stringify(keys)} to show`, () => Promise.resolve(seen.test(shown) || undefined));
  };
  // A terminal shows Ctrl-P in one of two ways. Ctrl-Q it takes for itself.
  await typed("\x10", /^(?:\^P|\x10)$/);
  await typed("\x10\x11x", /x$/);
  stream.destroy();
  await reading;
}
