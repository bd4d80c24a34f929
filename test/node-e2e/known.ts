/** Specs that are skipped, or fail, for what is not docker-cri's: a pattern over "name: message", and the reason. */
export const known: readonly (readonly [RegExp, string])[] = [
  [
    /ContainerMetrics/,
    "cAdvisor's own figures of disks are wanted, and the inodes of a container in place of its file system's",
  ],
  [
    /Summary API/,
    "with cgroup v1 a kubelet has no pressure figures, and no control groups of system services here",
  ],
  [/AppArmor/, "no AppArmor"],
  [/suite timeout occurred/, "the time of the run was over"],
  [/SELinux/, "no SELinux"],
];
