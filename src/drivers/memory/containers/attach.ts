import { ShimError } from "../../../base/index.js";
import type { AttachOptions } from "../../../docker/index.js";
import { MemoryAttachedStream, type AttachedInput } from "../attached.js";
import type { Connection } from "../connection.js";
import type { Container, ContainerRun } from "./container.js";

const operation = "containers.attach";

/** Attaches a client to the first process: its output from now on. */
export function attachTo(
  connection: Connection,
  container: Container,
  options: AttachOptions,
): MemoryAttachedStream {
  const { run } = container;
  if (!run) throw new ShimError("conflict", `${operation}: ${container.name} is not running`, { operation });
  if (container.paused) {
    throw new ShimError("conflict", `${operation}: ${container.name} is paused; unpause it first`, {
      operation,
    });
  }
  let release: () => void = () => undefined;
  const hasInput = options.stdin && container.config.openStdin === true;
  const finish = () => {
    stream.finish();
  };
  const input = hasInput ? inputOf(container, run, finish) : undefined;
  const stream = new MemoryAttachedStream(operation, input, options, () => {
    container.attached.delete(stream);
    release();
  });
  release = connection.hold(operation, (error) => {
    stream.destroy(error);
  });
  container.attached.add(stream);
  connection.engine.emit(container, "attach");
  return stream;
}

function inputOf(
  { config }: Container,
  { stdin, terminal }: ContainerRun,
  finish: () => void,
): AttachedInput {
  return {
    write: (data) => (terminal ? terminal.type(data) : stdin.write(data)),
    end: () => {
      // As in Docker: with StdinOnce the container's stdin is closed; otherwise it stays open for the next client, and
      // this client's output ends.
      if (config.stdinOnce && !terminal) stdin.end();
      else finish();
    },
  };
}
