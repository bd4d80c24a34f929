export { readSeccompProfile } from "./build-spec.js";
export { Containers } from "./containers.js";
export { createNamed } from "./create-named.js";
export { hasLabels } from "./filters.js";
export { untilAbandoned } from "./until-abandoned.js";
