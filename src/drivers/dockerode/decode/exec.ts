import { present } from "../../../base/index.js";
import type { DockerExecState } from "../../../docker/index.js";
import { flag, mustBeId, mustBeObject, number, positive } from "./json.js";

/** The new exec's id. @see Docker API POST /containers/{id}/exec */
export function decodeExecId(json: unknown): string {
  return mustBeId(mustBeObject(json, "the answer")["Id"], "the new exec");
}

/** @see Docker API GET /exec/{id}/json */
export function decodeExecState(json: unknown): DockerExecState {
  const state = mustBeObject(json, "the exec");
  const running = flag(state["Running"]) ?? false;
  return present({
    running,
    exitCode: running ? undefined : number(state["ExitCode"]),
    pid: positive(state["Pid"]),
  });
}
