import type { Message } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { withoutCredentials, type Logger } from "../base/index.js";
import type { Endpoint } from "./endpoint.js";
import type { Failure } from "./errors.js";

/** The fields of a call's log line. */
export interface LoggedCall {
  readonly endpoint: Endpoint;
  readonly id: number;
  readonly parentLog: Logger;
  readonly startedAtMs: number;
  readonly sent: number;
  readonly request: Message | undefined;
}

/**
 * Logs a call that has ended, in one line: debug for a success that changed nothing, info for one that changed something
 * and for a cancelled call, warn for a failure, error for an internal error whose text only the log has.
 */
export function logCall(call: LoggedCall, failure: Failure | undefined): void {
  const subject = subjectOf(call.request);
  const wanted = levelOf(call.endpoint, failure);
  const times = countRepeated(call.endpoint, subject, wanted === "warn" ? failure : undefined);
  // The same failure was logged a short time ago.
  const level = times === undefined ? "debug" : wanted;
  if (!call.parentLog.isLevelEnabled(level)) return;
  const { rpc } = call.endpoint;
  const code = failure ? Code[failure.error.code] : "OK";
  const line = {
    rpc,
    code,
    ms: Math.round((performance.now() - call.startedAtMs) * 10) / 10,
    callId: call.id,
    ...subject,
    ...(call.endpoint.streams ? { sent: call.sent } : undefined),
    ...(failure ? { error: failure.error.rawMessage } : undefined),
    ...(times !== undefined && times > 1 ? { times } : undefined),
    ...(level === "error" ? { errorId: failure?.errorId, err: failure?.cause } : undefined),
  };
  call.parentLog[level](line, `${rpc} ${code}`);
}

/** How often a call that changes nothing has failed in the same way since it was logged; 1 for all others. */
function countRepeated(
  { writes, failures }: Endpoint,
  subject: Record<string, string>,
  failure: Failure | undefined,
): number | undefined {
  if (writes) return 1;
  const key = JSON.stringify(subject);
  if (failure) return failures.count(key, `${failure.error.code} ${failure.error.rawMessage}`);
  failures.forget(key);
  return 1;
}

function levelOf(endpoint: Endpoint, failure: Failure | undefined): "debug" | "info" | "warn" | "error" {
  if (!failure) return endpoint.writes ? "info" : "debug";
  if (failure.errorId !== undefined || failure.error.code === Code.Internal) return "error";
  return failure.error.code === Code.Canceled ? "info" : "warn";
}

const maxIdLength = 256;

/**
 * The subject of the request. The request itself is never logged: it may contain registry credentials,
 * environment variables and commands.
 */
function subjectOf(request: Message | undefined): Record<string, string> {
  const subject: Record<string, string> = {};
  const note = (key: string, value: unknown) => {
    if (typeof value === "string" && value !== "")
      subject[key] = withoutCredentials(value.slice(0, maxIdLength));
  };
  if (!request) return subject;
  const { podSandboxId, containerId, image, config } = request as Message & Record<string, unknown>;
  note("sandbox", podSandboxId);
  note("container", containerId);
  note("image", field(image, "image"));
  const metadata = field(config, "metadata");
  note("namespace", field(metadata, "namespace"));
  note("name", field(metadata, "name"));
  return subject;
}

function field(holder: unknown, name: string): unknown {
  return typeof holder === "object" && holder !== null
    ? (holder as Record<string, unknown>)[name]
    : undefined;
}
