export { FileTree } from "./file-tree.js";
export { fsError } from "./fs-error.js";
export { HostFaults, type HostFault } from "./host-faults.js";
export { MemoryHostFiles } from "./host-files.js";
export { HostPrograms, MemoryHostProcesses, type HostProgram, type HostProgramIo } from "./host-processes.js";
export { MemoryLogFiles } from "./log-files.js";
export { MemoryHost, type MemoryHostOptions } from "./memory-host.js";
