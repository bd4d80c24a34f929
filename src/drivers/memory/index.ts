export { MemoryCallCounter } from "./calls.js";
export type { ContainerFigures } from "./containers/figures.js";
export { dockerMethods, Faults, type DockerMethod, type EventFaults, type Fault } from "./faults.js";
export {
  fsError,
  MemoryHost,
  type HostFault,
  type HostFaults,
  type HostProgram,
  type HostProgramIo,
  type MemoryHostOptions,
} from "./host/index.js";
export type { MemoryImage } from "./images/image.js";
export { Registry, type PullBehaviour } from "./images/registry.js";
export { createMemoryDocker, MemoryDocker, type MemoryDockerOptions } from "./memory-docker.js";
export type { ImagePrograms } from "./programs/image-programs.js";
export type {
  ContainerProcess,
  Program,
  ProgramFiles,
  ProgramInput,
  ProgramOutput,
} from "./programs/program.js";
export type { EngineSettings } from "./settings.js";
