/** Specs that are skipped, or fail, for what is not docker-cri's: a pattern over "name: message", and the reason. */
export const known: readonly (readonly [RegExp, string])[] = [
  [
    /ContainerMetrics.*PodAndContainerStatsFromCRI/s,
    "the kubelet has its stats from docker-cri, not from cAdvisor",
  ],
  [
    /Summary API.*PSI/s,
    "no pressure figures with cgroup v1, no control groups of system services here, one interface in each pod",
  ],
  [/link add dummy1.*not supported/s, "this machine's kernel has no dummy network devices"],
  [
    /consumable via the environment.*expected "data-1=value-1"/s,
    "the shell of these images drops variables whose names no shell can use; with bash as sh it passes",
  ],
  [/runtime supports recursive read-only mounts/, "it is for runtimes without recursive read-only mounts"],
  [/earlier spec in an ordered container failed/, "a spec that goes before it failed"],
  [/suite timeout occurred/, "the time of the run was over"],
];
