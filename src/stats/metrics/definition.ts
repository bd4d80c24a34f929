import { MetricType } from "../../gen/runtime/v1/api_pb.js";

export const counter = MetricType.COUNTER;
export const gauge = MetricType.GAUGE;

/** One value of a metric. */
export interface MetricValue {
  /** Undefined if unknown: then the value is left out. */
  readonly value: bigint | undefined;
  /** The values of the metric's own labels, in their order. */
  readonly labels?: readonly string[];
  /** The time of a value that was measured before the call. */
  readonly measuredAtNanos?: bigint;
}

/**
 * A metric. Its name, type and labels are cAdvisor's, so that kubelet's `/metrics/cadvisor` serves it unchanged. CRI's
 * values are integers: seconds have no fraction.
 */
export interface MetricDefinition<Source> {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  /** In addition to the labels of all metrics. */
  readonly labels?: readonly string[];
  readonly values: (source: Source) => readonly MetricValue[];
}

const nanosPerSecond = 1_000_000_000n;

export function seconds(nanos: bigint | undefined): bigint | undefined {
  return nanos === undefined ? undefined : nanos / nanosPerSecond;
}

/** The value of a metric without its own labels. */
export function single<Source>(
  value: (source: Source) => bigint | undefined,
): (source: Source) => readonly MetricValue[] {
  return (source) => [{ value: value(source) }];
}
