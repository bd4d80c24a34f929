import { dirname } from "node:path";
import { settlesWithin, ShimError, sleep } from "../../../base/index.js";
import type { MemoryEngine } from "../engine.js";
import { SIGKILL, SIGTERM, requireSignal } from "../processes/signals.js";
import { removeCgroup, showCgroup } from "./cgroup.js";
import type { Container, ContainerRun } from "./container.js";
import { upperDirectory } from "./inspect.js";
import { writeLimits } from "./limits.js";
import { environmentOf, launch, requireProgram, type Launched } from "./launch.js";
import { afterEnd, beforeStart, joined, networkOf } from "./surroundings.js";
import { requireMounts, volumesFolder } from "./mounts.js";

/** Starts a container: created or exited becomes running. */
export async function startContainer(engine: MemoryEngine, container: Container): Promise<void> {
  const operation = "containers.start";
  const wasStarting = container.starting !== undefined;
  await container.starting?.catch(() => undefined);
  // As with Docker, a start during a start succeeds with it.
  if (wasStarting && container.running) return;
  if (container.removing) {
    throw new ShimError("conflict", `${operation}: ${container.name} is being removed`, { operation });
  }
  if (container.paused) {
    throw new ShimError("conflict", `${operation}: ${container.name} is paused; unpause it instead`, {
      operation,
    });
  }
  if (container.running) {
    throw new ShimError("failed-precondition", `${operation}: ${container.name} is running already`, {
      operation,
    });
  }
  container.starting = start(engine, container);
  try {
    await container.starting;
  } finally {
    container.starting = undefined;
  }
}

async function start(engine: MemoryEngine, container: Container): Promise<void> {
  const operation = "containers.start";
  if (engine.settings.timing.startMs > 0) await sleep(engine.settings.timing.startMs, engine.life);
  const args = [...(container.config.entrypoint ?? []), ...(container.config.command ?? [])];
  let launched: Launched;
  try {
    requireMounts(engine, container, operation);
    const program = requireProgram(container, args, operation);
    const surroundings = beforeStart(engine, container);
    const process = engine.host.processTable.spawn(
      {
        name: args[0] ?? "",
        environment: environmentOf(container),
        ignoresUnhandledSignals: !engine.settings.init,
      },
      (code) => {
        ended(engine, container, code);
      },
    );
    process.network = networkOf(engine, container);
    launched = launch(container, {
      process,
      program,
      args,
      tty: container.config.tty === true,
      pid: 1,
      output: async (stream, data) => {
        container.log.append(stream, data);
        await Promise.all([...container.attached].map((client) => client.put({ stream, data })));
      },
    });
    container.run = {
      process,
      pids: new Map([[1, process]]),
      lastPid: 1,
      ...surroundings,
      stdin: launched.stdin,
      terminal: launched.terminal,
    };
    showCgroup(engine, container);
    writeLimits(engine, container);
  } catch (error) {
    fail(container, error);
    throw error;
  }
  if (!container.config.openStdin) launched.stdin.end();
  container.error = undefined;
  container.oomKilled = false;
  container.exitCode = 0;
  container.startedAtNanos = engine.clock.now();
  engine.emit(container, "start");
  launched.begin();
}

/** Records a failed start; the state does not change. */
function fail(container: Container, error: unknown): void {
  container.error = error instanceof Error ? error.message : String(error);
  container.exitCode = error instanceof ShimError && error.kind === "invalid-argument" ? 127 : 128;
}

/** Ends the run of a container after its first process has ended. */
function ended(engine: MemoryEngine, container: Container, code: number): void {
  const { run } = container;
  if (!run) return;
  for (const process of run.pids.values()) if (process !== run.process) process.send(SIGKILL);
  for (const other of joined(engine, container, "pidMode")) other.run?.process.send(SIGKILL);
  settle(engine, container, run, code);
  engine.emit(container, "die", { exitCode: String(code) });
}

/** Puts the container into its exited state. */
function settle(engine: MemoryEngine, container: Container, run: ContainerRun, code: number): void {
  removeCgroup(engine, container);
  container.run = undefined;
  container.paused = false;
  container.exitCode = code;
  container.finishedAtNanos = engine.clock.now();
  container.log.flush();
  for (const client of [...container.attached]) client.finish();
  afterEnd(engine, run);
}

/** Sends the stop signal, waits, then SIGKILL. Succeeds if it does not run. */
export async function stopContainer(
  engine: MemoryEngine,
  container: Container,
  graceSeconds: number,
): Promise<void> {
  await container.starting?.catch(() => undefined);
  const { run } = container;
  if (!run) return;
  const named = container.config.stopSignal;
  const signal = named ? requireSignal(named, "containers.stop") : SIGTERM;
  deliver(engine, container, run, signal);
  const { life } = engine;
  if (graceSeconds >= 0 && !(await endsWithin(run, graceSeconds * 1000, life)) && !life.aborted) {
    deliver(engine, container, run, SIGKILL);
  }
  await run.process.ended;
  engine.emit(container, "stop");
}

/** Emits Docker's event and sends a signal; a paused container is resumed to receive it. */
function deliver(engine: MemoryEngine, container: Container, run: ContainerRun, signal: number): void {
  engine.emit(container, "kill", { signal: String(signal) });
  if (container.paused) unpauseContainer(engine, container);
  run.process.send(signal);
}

async function endsWithin({ process }: ContainerRun, ms: number, life: AbortSignal): Promise<boolean> {
  await settlesWithin(ms, process.ended, life);
  return !process.alive;
}

/** Sends a signal to the first process. */
export async function killContainer(
  engine: MemoryEngine,
  container: Container,
  signal: number,
): Promise<void> {
  const operation = "containers.kill";
  await container.starting?.catch(() => undefined);
  if (!container.run) {
    throw new ShimError("failed-precondition", `${operation}: ${container.name} is not running`, {
      operation,
    });
  }
  deliver(engine, container, container.run, signal);
}

/** Removes a container with its files and anonymous volumes. */
export async function removeContainer(
  engine: MemoryEngine,
  container: Container,
  force: boolean,
): Promise<void> {
  const operation = "containers.remove";
  await container.starting?.catch(() => undefined);
  if (container.removing) {
    throw new ShimError("conflict", `${operation}: ${container.name} is being removed already`, {
      operation,
    });
  }
  const { run } = container;
  if (run && !force) {
    const why = `${container.name} is ${container.status}; stop it first, or force its removal`;
    throw new ShimError("conflict", `${operation}: ${why}`, { operation });
  }
  container.removing = true;
  try {
    if (run) {
      deliver(engine, container, run, SIGKILL);
      await run.process.ended;
    }
    if (engine.settings.timing.removeMs > 0) await sleep(engine.settings.timing.removeMs, engine.life);
  } catch (error) {
    container.removing = false;
    throw error;
  }
  forget(engine, container);
  engine.emit(container, "destroy");
}

function forget(engine: MemoryEngine, container: Container): void {
  engine.containers.delete(container.id);
  engine.names.delete(container.name);
  for (const exec of container.execs) engine.execs.delete(exec.id);
  container.log.wake();
  engine.host.tree.removeAll(container.folder);
  engine.host.tree.removeAll(dirname(upperDirectory(container)));
  for (const { type, source = "" } of container.mounts) {
    const folder = /^(.*\/[0-9a-f]{64})\/_data$/.exec(source)?.[1];
    if (type === "volume" && folder?.startsWith(volumesFolder)) engine.host.tree.removeAll(folder);
  }
}

/** Freezes every process of a container. */
export function pauseContainer(engine: MemoryEngine, container: Container): void {
  const { run } = container;
  if (!run || container.paused) {
    throw new ShimError("conflict", `pause: ${container.name} is ${container.status}`, {
      operation: "pause",
    });
  }
  container.paused = true;
  for (const process of run.pids.values()) process.freeze();
  engine.emit(container, "pause");
}

export function unpauseContainer(engine: MemoryEngine, container: Container): void {
  if (!container.paused || !container.run) {
    throw new ShimError("conflict", `unpause: ${container.name} is not paused`, { operation: "unpause" });
  }
  container.paused = false;
  for (const process of container.run.pids.values()) process.thaw();
  engine.emit(container, "unpause");
}

/** Kills the first process as the kernel's out-of-memory killer does. */
export function oomContainer(engine: MemoryEngine, container: Container): void {
  const { run } = container;
  if (!run) throw new ShimError("conflict", `oom: ${container.name} is not running`, { operation: "oom" });
  container.oomKilled = true;
  engine.emit(container, "oom");
  run.process.send(SIGKILL);
}
