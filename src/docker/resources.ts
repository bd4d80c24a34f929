/** Limits of a container. An absent field is unlimited at create and unchanged at update. */
export interface DockerResources {
  readonly cpuPeriodMicros?: number;
  readonly cpuQuotaMicros?: number;
  /** Relative weight, 2 to 262144. */
  readonly cpuShares?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly memoryBytes?: number;
  /** Memory and swap together; -1 is unlimited swap. */
  readonly memorySwapBytes?: number;
  readonly memoryReservationBytes?: number;
  readonly oomScoreAdj?: number;
  readonly pidsLimit?: number;
}
