/** Specs that are skipped, or fail, for what is not docker-cri's: a pattern over "name: message", and the reason. */
export const known: readonly (readonly [RegExp, string])[] = [
  [
    /ContainerMetrics.*PodAndContainerStatsFromCRI/s,
    "the kubelet gets its stats from docker-cri, not from cAdvisor",
  ],
  [
    /Summary API.*PSI/s,
    "no pressure metrics with cgroup v1, no cgroups of system services here, one interface in each pod",
  ],
  [/link add dummy1.*not supported/s, "this machine's kernel has no dummy network devices"],
  [
    /consumable via the environment.*expected "data-1=value-1"/s,
    "the shell of these images drops variables with names that are not valid in a shell; it passes with bash as sh",
  ],
  [/runtime supports recursive read-only mounts/, "only for runtimes without recursive read-only mounts"],
  [/earlier spec in an ordered container failed/, "a spec that goes before it failed"],
  [/suite timeout occurred/, "the time of the run was over"],
];
