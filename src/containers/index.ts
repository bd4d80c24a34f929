export { requireApparmorProfile } from "./apparmor.js";
export { readSeccompProfile } from "./build-spec.js";
export { Containers } from "./containers.js";
export { createNamed, type HolderJudgement } from "./create-named.js";
export { removeContainer } from "./stop-and-remove.js";
export { hasLabels } from "./filters.js";
export {
  cannotRun,
  execExitCode,
  killExec,
  newExecMark,
  type EndingExec,
  type ExecContext,
} from "./exec-termination.js";
