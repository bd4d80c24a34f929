export { requireApparmorProfile } from "./apparmor.js";
export { readSeccompProfile } from "./build-spec.js";
export { Containers } from "./containers.js";
export { createNamed, type HolderJudgement } from "./create-named.js";
export { removeContainer } from "./ending.js";
export { hasLabels } from "./filters.js";
export { untilAbandoned } from "./until-abandoned.js";
export {
  cannotRun,
  execExitCode,
  killExec,
  newExecMark,
  type EndingExec,
  type ExecContext,
} from "./exec-end.js";
