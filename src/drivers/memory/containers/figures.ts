/**
 * What a container of the memory engine uses, as a test sets it. Counters and sizes are whole numbers; the node's files
 * show them as the kernel would.
 */
export interface ContainerFigures {
  /** CPU time used so far, in nanoseconds of one core. */
  cpuNanos: number;
  /** All memory charged. */
  memoryBytes: number;
  /** The part of it that is file cache which has not been used lately. */
  inactiveFileBytes: number;
  anonymousBytes: number;
  swapBytes: number;
  pageFaults: number;
  majorPageFaults: number;
  readBytes: number;
  writtenBytes: number;
  /** Of the network namespace that the container made; one that joins another's has none of its own. */
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
