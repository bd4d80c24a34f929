export { containerSpec, type ContainerSpecRequest } from "./container-spec.js";
export {
  containerInfo,
  containerState,
  imageSpecOf,
  toContainer,
  toContainerStatus,
  type ImageNames,
} from "./container-status.js";
export {
  engineEnvironment,
  recursiveReadOnlySupported,
  resolveRuntime,
  type EngineEnvironment,
} from "./environment.js";
export { fieldTable, refuseUnsupported, type FieldTable, type Treatment } from "./field-table/index.js";
export { checkedImage, mountsImages } from "./image-mounts.js";
export {
  imageVolumesOf,
  type ExportedImage,
  type ExportedImages,
  type ImageVolume,
} from "./exported-images.js";
export { checkImageHandler, imageInfo, toImage, type ImageFacts } from "./images.js";
export { identify, type Identity, type SandboxIdentity, type WorkloadIdentity } from "./identity.js";
export * from "./labels.js";
export { logDriver } from "./log-config.js";
export * from "./names.js";
export { withOwnLabels, type LabelledImage } from "./own-labels.js";
export { portBindings } from "./ports.js";
export { resolvConf } from "./resolv-conf.js";
export { resourcesUpdate } from "./resources.js";
export { sandboxSpec } from "./sandbox-spec.js";
export {
  isReady,
  sandboxInfo,
  toPodSandbox,
  toPodSandboxStatus,
  type SandboxContext,
} from "./sandbox-status.js";
export { apparmorProfile } from "./security.js";
export { seccompFile } from "./seccomp.js";
export { noSwapFile } from "./swap.js";
export { cgroupFiles, checkUnified, updatedCgroupFiles } from "./cgroup-v2.js";
