import { abortError, isKind, ShimError, withDeadline } from "../base/index.js";
import type { AttachedStream } from "../docker/index.js";
import type { ExecEnds, ExpectedEnd } from "../inventory/index.js";
import { cannotRun, execExitCode, killExec, newExecMark, type ExecContext } from "./exec-termination.js";

const operation = "ExecSync";

/** kubelet's message limit is 16 MiB; the other fields of the response need some of it. */
const outputLimitBytes = 16 * 1024 * 1024 - 1024;

export interface ExecSyncRequest {
  readonly containerId: string;
  readonly command: readonly string[];
  /** 0: no limit except the caller's. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

type ExecSyncContext = ExecContext & { readonly execEnds: ExecEnds };

export interface ExecSyncResult {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly exitCode: number;
}

/**
 * Runs a command in a container and waits for its exit. On a timeout, a cancelled call or a failure of Docker, the process
 * and its descendants are killed, because an exec without a client runs on. Output beyond 16 MiB in total is truncated,
 * with a warning. A command that cannot be run has exit code 126 or 127, as in a shell.
 * @throws ShimError "deadline-exceeded"; "failed-precondition" when the container does not run.
 */
export async function execSync(request: ExecSyncRequest, context: ExecSyncContext): Promise<ExecSyncResult> {
  const { signal, timeoutSeconds } = request;
  const deadlineMs = timeoutSeconds > 0 ? timeoutSeconds * 1000 : undefined;
  const exec: Exec = { mark: newExecMark() };
  try {
    return await withDeadline(operation, { signal, deadlineMs }, (ended) =>
      runExec(request, exec, context, ended),
    );
  } catch (error) {
    const { id, mark, starting } = exec;
    const { containerId } = request;
    const left =
      id === undefined || !starting ? undefined : await killExec({ id, mark, containerId }, context);
    throw asExecError(error, request, left);
  } finally {
    exec.end?.forget();
    // The start may finish after the call has failed: its stream must be closed.
    void exec.starting?.then(
      (stream) => {
        stream.destroy();
      },
      () => undefined,
    );
  }
}

/** The resources of a call, for its cleanup. */
interface Exec {
  readonly mark: string;
  id?: string;
  end?: ExpectedEnd;
  starting?: Promise<AttachedStream>;
}

async function runExec(
  { containerId, command }: ExecSyncRequest,
  exec: Exec,
  { docker, log, execEnds }: ExecSyncContext,
  signal: AbortSignal,
): Promise<ExecSyncResult> {
  const spec = { command, env: [exec.mark], tty: false, stdin: false, stdout: true, stderr: true };
  const id = await docker.execs.create(containerId, spec, { signal });
  if (signal.aborted) throw abortError(operation, signal.reason);
  exec.id = id;
  exec.end = execEnds.expect(id);
  exec.starting = docker.execs.start(id, { tty: false, signal });
  let stream: AttachedStream;
  try {
    stream = await exec.starting;
  } catch (error) {
    return { stdout: new Uint8Array(), ...(await cannotRun(error, id, docker, signal)) };
  }
  stream.endInput();
  const output = await collect(stream, () => {
    log.warn({ container: containerId, command: command[0] }, "truncated the output of ExecSync at 16 MiB");
  });
  return { ...output, exitCode: await execExitCode(docker, id, exec.end, signal) };
}

/** @param left Why the command could not be killed; undefined if it was. */
function asExecError(
  error: unknown,
  { containerId, command, timeoutSeconds }: ExecSyncRequest,
  left: string | undefined,
): unknown {
  if (isKind(error, "deadline-exceeded") && error.operation === operation && timeoutSeconds > 0) {
    const what = JSON.stringify(command[0]);
    return new ShimError(
      "deadline-exceeded",
      `command ${what} in container ${containerId} timed out after ${timeoutSeconds} s and ` +
        (left === undefined
          ? "was killed"
          : `could not be killed: ${left}; docker-cri keeps trying to kill it`),
      { operation, cause: error },
    );
  }
  if (!isKind(error, "conflict")) return error;
  return new ShimError("failed-precondition", error.message, { operation, cause: error });
}

async function collect(stream: AttachedStream, onCut: () => void): Promise<Omit<ExecSyncResult, "exitCode">> {
  const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  let left = outputLimitBytes;
  for await (const frame of stream.output) {
    if (left === 0) continue;
    const data = frame.data.subarray(0, left);
    left -= data.length;
    chunks[frame.stream].push(data);
    if (left === 0) onCut();
  }
  return { stdout: Buffer.concat(chunks.stdout), stderr: Buffer.concat(chunks.stderr) };
}
