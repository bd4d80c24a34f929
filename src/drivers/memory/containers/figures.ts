/**
 * The resource use of a container of the memory engine, as set by a test. Counters and sizes are whole numbers; they are
 * in the node's files in the kernel's form.
 */
export interface ContainerFigures {
  /** CPU time used so far, in nanoseconds of one core. */
  cpuNanos: number;
  /** All memory charged. */
  memoryBytes: number;
  /** The part of it that is inactive file cache. */
  inactiveFileBytes: number;
  anonymousBytes: number;
  swapBytes: number;
  pageFaults: number;
  majorPageFaults: number;
  readBytes: number;
  writtenBytes: number;
  /** Of the container's own network namespace; without one it has none. */
  receivedBytes: number;
  sentBytes: number;
}

export function firstFigures(): ContainerFigures {
  return {
    cpuNanos: 20_000_000,
    memoryBytes: 1_048_576,
    inactiveFileBytes: 131_072,
    anonymousBytes: 524_288,
    swapBytes: 0,
    pageFaults: 400,
    majorPageFaults: 2,
    readBytes: 65_536,
    writtenBytes: 0,
    receivedBytes: 1_024,
    sentBytes: 512,
  };
}
