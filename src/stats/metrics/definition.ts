import { MetricType } from "../../gen/runtime/v1/api_pb.js";

export const counter = MetricType.COUNTER;
export const gauge = MetricType.GAUGE;

/** One value of a metric. */
export interface MetricValue {
  /** Undefined when it is not known: then there is no such value. */
  readonly value: bigint | undefined;
  /** Those of the metric's own labels, in their order. */
  readonly labels?: readonly string[];
  /** When a value was measured that is older than the call. */
  readonly measuredAtNanos?: bigint;
}

/**
 * A metric: its name, type and labels are those under which cAdvisor publishes the same figure, so that a kubelet's
 * `/metrics/cadvisor` serves it as before. CRI's values are whole numbers: seconds are without their fractions.
 */
export interface MetricDefinition<Source> {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  /** Beside the labels that all metrics have. */
  readonly labels?: readonly string[];
  readonly values: (source: Source) => readonly MetricValue[];
}

const nanosPerSecond = 1_000_000_000n;

export function seconds(nanos: bigint | undefined): bigint | undefined {
  return nanos === undefined ? undefined : nanos / nanosPerSecond;
}

/** The one value of a metric without labels of its own. */
export function single<Source>(
  value: (source: Source) => bigint | undefined,
): (source: Source) => readonly MetricValue[] {
  return (source) => [{ value: value(source) }];
}
