import assert from "node:assert/strict";

/** Errors in a kubelet's log that are not docker-cri's, with the reason. */
const expected: readonly (readonly [RegExp, string])[] = [
  [
    /Failed to set rlimit|Failed to ensure process in container with oom score/,
    "this machine does not allow it",
  ],
  [/failed to check if node is newer/, "there is no API server"],
  [/runtime status check may not have completed yet|Stats initialization may not have/, "the kubelet starts"],
  [/Failed to read data from checkpoint.*checkpoint is not found/, "it is the kubelet's first start"],
  [/no imagefs label for configured runtime/, "the kubelet's cAdvisor knows containerd and CRI-O only"],
  [/cri\.sock: connect: (?:connection refused|no such file)/, "the test starts docker-cri anew"],
  [
    /error reading from server|transport is closing|code = Unavailable.*(?:EOF|broken pipe|connection reset|desc = connection error)/,
    "the test kills docker-cri",
  ],
  [
    /nothing answers at Docker's endpoint|the connection to Docker at \S+ was lost|broke off its answer|code = Unavailable.*Docker answered 5\d\d/,
    "the test starts Docker anew",
  ],
  [/code = Canceled desc = context canceled/, "the kubelet is being ended"],
  [/has not yet read Docker's state/, "docker-cri has just been started"],
  [/watcher\.go.*Failed to watch directory/, "a control group of the machine has gone meanwhile"],
  [
    /(?:ReopenContainerLog|Failed to rotate log).*has ended and its log is complete/,
    "the kubelet rotates the log of a container that has just ended; containerd refuses that too",
  ],
  [/Unable to fetch container log stats.*no such file/, "the kubelet itself renames the log meanwhile"],
  [/Housekeeping took longer/, "the machine is slow"],
  [/PLEG is not healthy|container runtime not ready/, "the runtime is being started anew"],
  [/127\.0\.0\.1:1\/none|pod="nopull-node"|CrashLoopBackOff/, "the pods nopull and always are meant to fail"],
  [/Error syncing pod, skipping.*(?:RunContainerError|PostStartHookError)/, "the runtime was started anew"],
  [
    /(?:ContainerStatus from runtime service failed|Failed to get container status).*code = NotFound/,
    "the kubelet asks for one that it removed",
  ],
  [/(?:ExecSync|Probe errored).*is not running/, "a probe meets the end of its container"],
  [/query parameter \\?"port\\?" is required/, "the test asks kubelet 1.34 for a tunnel"],
  [
    /conn\.go.*use of closed network connection|upgradeaware\.go|writing line to log file.*(?:stream closed|connection reset|broken pipe)/,
    "the test's client has left",
  ],
  [/Evented PLEG: .*nil PodSandboxStatus.*CONTAINER_DELETED_EVENT/, "as with containerd: the pod is gone"],
  [
    /cannot evict a critical pod|no pods are active to evict|Failed to garbage collect required amount/,
    "the test lets the disk look full",
  ],
  [/Failed to free sufficient space|attempting to reclaim/, "the test lets the disk look full"],
  [/waiting for all the volumes belonging to Pods.*middle-node/, "the pod middle is meant to be killed"],
  [/POD_.* is held by container .*, which is running/, "an evented PLEG starts with an empty cache"],
  [/oomparser\.go.*exiting analyzeLines/, "its cAdvisor stops reading the kernel's log as the kubelet ends"],
  [/RecentStats: unable to find data in memory cache/, "the kubelet's cAdvisor has not measured it yet"],
  [
    /PodSandbox from runtime service failed.*podSandboxID=""/,
    "kubelet 1.37 asks for the stats of no pod, to see whether the runtime has the call; any runtime refuses",
  ],
  // In a cluster:
  [/nodes? \\?"node\\?" not found/, "the node registers itself"],
  [/Skipping pod synchronization.*container runtime is down/, "the runtime is being started anew"],
  [
    /failed to read memory cgroup (?:config|limits) .*no such file/,
    "the kubelet reads of a pod that has ended",
  ],
  [
    /Failed to get status for pod.*(?:no relationship found|not found)/,
    "the API server no longer has the pod",
  ],
  [/Missing actuated pod level resource record/, "the kubelet notes none before a container has started"],
  [/Failed to remove container.*code = NotFound/, "the kubelet has removed it a moment before"],
  [/eviction thresholds have been met, but no pods are active/, "the test has the kubelet short of memory"],
  [/no-such-runtime|no basic auth credentials/, "the pods missing and refused are meant to fail"],
];

/** None of a kubelet's errors is docker-cri's. @throws AssertionError with all those that nothing explains. */
export function assertExplained(complaints: readonly string[]): void {
  const left = complaints.filter((line) => !expected.some(([pattern]) => pattern.test(line)));
  assert.ok(left.length === 0, left.join("\n"));
}
