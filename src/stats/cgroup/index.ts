export { readCpuDetail, readCpuNanos, type CpuDetail } from "./cpu.js";
export { readIo } from "./io.js";
export { readMemory, type MemoryReading } from "./memory.js";
export { readMemoryDetail, type MemoryDetail } from "./memory-detail.js";
export { parseCgroupMounts, type CgroupMounts } from "./mounts.js";
export { parentPlacesOf, placesOf, type CgroupPlace, type CgroupPlaces } from "./places.js";
export { readPressure } from "./pressure.js";
export { readProcesses } from "./processes.js";
export { largestUint64, limitOf, numberOf, uint64, valueOf } from "./text.js";
