import type { DockerService } from "../docker/index.js";
import type { CallObserver } from "../rpc/serving.js";
import { watchDocker } from "./docker-calls.js";
import type { Prom, Registry } from "./prom.js";
import { resultOf, runWatched } from "./watch-methods.js";

const rpcBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];
const dockerBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];

function seconds(sinceMs: number): number {
  return (performance.now() - sinceMs) / 1_000;
}

/** Counts and times RPCs. Only methods of the contract get here, so that the labels have few values. */
export function rpcMetrics({ Gauge, Histogram }: Prom, registry: Registry): CallObserver {
  const registers = [registry];
  const durations = new Histogram({
    name: "docker_cri_rpc_duration_seconds",
    help: "Duration of RPCs; of a stream, until it ends.",
    labelNames: ["service", "method", "code"],
    buckets: rpcBuckets,
    registers,
  });
  const open = new Gauge({
    name: "docker_cri_rpcs_open",
    help: "RPCs in progress, streams included.",
    labelNames: ["service", "method"],
    registers,
  });
  return {
    begin: ({ parent, name }) => {
      const labels = { service: parent.name, method: name };
      const beganAtMs = performance.now();
      open.inc(labels);
      return {
        run: (work) => work(),
        end: (code) => {
          open.dec(labels);
          durations.observe({ ...labels, code }, seconds(beganAtMs));
        },
      };
    },
  };
}

/** Counts and times the calls to Docker. */
export function dockerMetrics(
  { Gauge, Histogram }: Prom,
  registry: Registry,
): (docker: DockerService) => DockerService {
  const registers = [registry];
  const durations = new Histogram({
    name: "docker_cri_docker_call_duration_seconds",
    help: "Duration of calls to Docker; of a stream such as events.subscribe, until it ends.",
    labelNames: ["call", "result"],
    buckets: dockerBuckets,
    registers,
  });
  const open = new Gauge({
    name: "docker_cri_docker_calls_open",
    help: "Calls to Docker in progress, streams included.",
    labelNames: ["call"],
    registers,
  });
  return (docker) =>
    watchDocker(docker, (call, work) => {
      const beganAtMs = performance.now();
      open.inc({ call });
      return runWatched(work, (error) => {
        open.dec({ call });
        durations.observe({ call, result: resultOf(error) }, seconds(beganAtMs));
      });
    });
}
