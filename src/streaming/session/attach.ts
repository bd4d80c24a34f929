import { isKind, ShimError } from "../../base/index.js";
import type { ProcessIo, PutOutput, TerminalSize } from "../../carriers/index.js";
import type { DockerService, OutputFrame } from "../../docker/index.js";
import type { WorkloadRecord } from "../../inventory/index.js";
import type { WantedStreams } from "../tokens.js";
import { Resizer } from "./resizer.js";
import type { SharedAttaches } from "./shared-attach.js";

export interface AttachContext {
  readonly docker: DockerService;
  readonly shared: SharedAttaches;
}

/**
 * Attaches to a container's first process: its output from now on, and its stdin if it has one.
 * @throws ShimError "failed-precondition" when the container does not run.
 */
export async function openAttach(
  record: WorkloadRecord,
  streams: WantedStreams,
  { docker, shared }: AttachContext,
): Promise<ProcessIo> {
  const { id } = record;
  const { tty = false, openStdin = false, stdinOnce = false } = record.docker.config;
  const closesStdin = stdinOnce && !tty;
  const resizer = new Resizer((size, signal) => docker.containers.resize(id, size, { signal }));
  const resize = (size: TerminalSize) => {
    if (tty) resizer.resize(size);
  };
  try {
    // Docker keeps a connection without stdin after its client has left; one with stdin closes a stdin for one client.
    const io =
      openStdin && (streams.stdin || !closesStdin)
        ? await ownAttach(id, streams, { tty, closesStdin }, docker)
        : await sharedAttach(id, streams, tty, shared);
    const leave = () => {
      resizer.stop();
      io.leave();
    };
    return {
      ...io,
      resize,
      result: () => {
        leave();
        return Promise.resolve({ exitCode: 0 });
      },
      abandon: () => {
        leave();
        return Promise.resolve();
      },
    };
  } catch (error) {
    if (!isKind(error, "conflict")) throw error;
    throw new ShimError("failed-precondition", error.message, { cause: error });
  }
}

type AttachIo = Pick<ProcessIo, "readOutput" | "write" | "endInput"> & { readonly leave: () => void };

async function ownAttach(
  id: string,
  streams: WantedStreams,
  { tty, closesStdin }: { readonly tty: boolean; readonly closesStdin: boolean },
  docker: DockerService,
): Promise<AttachIo> {
  const stream = await docker.containers.attach(id, { ...streams, stdin: true, tty });
  return {
    readOutput: (put) => pass(stream.output, streams, put),
    write: async (data) => {
      if (streams.stdin) await stream.write(data);
    },
    endInput: () => {
      // Docker closes the container's stdin, or ends the session of a terminal: crictl's Ctrl-P Ctrl-Q ends only its input.
      // In the other case it would end the session too, before the answer to what came last.
      if (streams.stdin && (closesStdin || tty)) stream.endInput();
    },
    leave: () => {
      stream.destroy();
    },
  };
}

async function sharedAttach(
  id: string,
  streams: WantedStreams,
  tty: boolean,
  shared: SharedAttaches,
): Promise<AttachIo> {
  const frames = await shared.join(id, tty);
  return {
    readOutput: (put) => pass(frames, streams, put),
    write: () => Promise.resolve(),
    endInput: () => undefined,
    leave: () => {
      frames.destroy();
    },
  };
}

/** A shared connection has both outputs, whichever the client wants. */
async function pass(
  frames: AsyncIterable<OutputFrame>,
  wanted: WantedStreams,
  put: PutOutput,
): Promise<void> {
  for await (const { stream, data } of frames) if (wanted[stream]) await put(stream, data);
}
