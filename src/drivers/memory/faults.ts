import type { ErrorKind } from "../../base/index.js";

/** Every method of the DockerService port. */
export const dockerMethods = [
  "containers.list",
  "containers.inspect",
  "containers.create",
  "containers.start",
  "containers.stop",
  "containers.kill",
  "containers.remove",
  "containers.update",
  "containers.logs",
  "containers.attach",
  "containers.resize",
  "containers.export",
  "containers.resolveMounts",
  "containers.checkpoint",
  "images.list",
  "images.inspect",
  "images.history",
  "images.pull",
  "images.remove",
  "images.tag",
  "execs.create",
  "execs.start",
  "execs.inspect",
  "execs.resize",
  "events.subscribe",
  "system.ping",
  "system.version",
  "system.info",
  "system.apiVersion",
] as const;

export type DockerMethod = (typeof dockerMethods)[number];

/** A fault of one method. Without `error` and `hang`, `delayMs` only makes its calls slow. */
export interface Fault {
  /** The call fails with this kind. */
  readonly error?: ErrorKind;
  readonly message?: string;
  /** The cause of that error. */
  readonly cause?: unknown;
  readonly delayMs?: number;
  /** There is no answer: the call ends with its deadline or its signal. */
  readonly hang?: boolean;
  /** The engine does its work, and the fault affects only the answer. For a stream: at its end. */
  readonly after?: boolean;
  /** How often; without limit when absent. */
  readonly times?: number;
  /** Only for this container, image or exec: an id, a prefix or a name. */
  readonly id?: string;
}

/** The faults of the engine's event streams. */
export interface EventFaults {
  /** The next `count` events reach no subscriber; a replay still has them. */
  drop(count: number): void;
  /** Delays all events by this time; 0 ends it. */
  delay(ms: number): void;
  /** The streams that are open now end with `unavailable`. */
  breakStream(): void;
  /** The streams that are open now deliver no more events but stay open. */
  silence(): void;
}

/** The engine's faults. */
export class Faults {
  private entries: { readonly method: DockerMethod; readonly fault: Fault; left: number }[] = [];

  /** @param breakOpen Breaks the open streams of a method, or all of them. */
  constructor(
    readonly events: EventFaults,
    private readonly breakOpen: (method: DockerMethod | undefined) => void,
  ) {}

  /** Adds a fault to a method; the oldest is used first. @returns Removes it. */
  on(method: DockerMethod, fault: Fault): () => void {
    const entry = { method, fault, left: fault.times ?? Infinity };
    this.entries.push(entry);
    return () => {
      this.entries = this.entries.filter((other) => other !== entry);
    };
  }

  /** Removes all faults, except those of event streams. */
  clear(): void {
    this.entries = [];
  }

  /** Breaks the logs, attach, exec, export, pull and event streams that are open now, or those of one method. */
  breakStreams(method?: DockerMethod): void {
    this.breakOpen(method);
  }

  /** The fault for a call; counts it as used. @param isMeant Whether a fault's `id` means this call. */
  take(method: DockerMethod, isMeant: (id: string) => boolean): Fault | undefined {
    const entry = this.entries.find(
      ({ method: other, fault, left }) =>
        other === method && left > 0 && (fault.id === undefined || isMeant(fault.id)),
    );
    if (!entry) return undefined;
    entry.left--;
    if (entry.left === 0) this.entries = this.entries.filter((other) => other !== entry);
    return entry.fault;
  }
}
