/** The namespace of all pods of the suite. */
export const namespace = "lab-kubelet";

export const image = "busybox:1.36";

/** What a shell runs until it is asked to end. */
export const forever = "trap 'exit 0' TERM; while :; do sleep 86400 & wait $!; done";

/** A static pod, as a file of the kubelet's folder. */
export interface Manifest {
  readonly apiVersion: "v1";
  readonly kind: "Pod";
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly containerID?: string;
  readonly imageID: string;
  readonly state: ContainerState;
  readonly lastState?: ContainerState;
}

export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: { readonly startedAt: string };
  readonly terminated?: {
    readonly exitCode: number;
    readonly reason: string;
    readonly message?: string;
    readonly startedAt: string;
    readonly finishedAt: string;
  };
}

/** What the suite reads of a pod that the kubelet reports. */
export interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/** The status of a pod's container, of the first one when no name is given. */
export function statusOf(pod: Pod | undefined, name?: string): ContainerStatus | undefined {
  const { initContainerStatuses = [], containerStatuses = [] } = pod?.status ?? {};
  if (name === undefined) return containerStatuses[0];
  return [...initContainerStatuses, ...containerStatuses].find((each) => each.name === name);
}

export function isReady(pod: Pod | undefined): boolean {
  return pod?.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

/** A container that runs a line of shell. */
export function container(name: string, script: string, more: object = {}): object {
  return { name, image, command: ["sh", "-c", script], ...more };
}

export function manifest(name: string, spec: object): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace },
    spec: { terminationGracePeriodSeconds: 1, ...spec },
  };
}

const quick = { periodSeconds: 1, failureThreshold: 2, timeoutSeconds: 10 };
const shared = { name: "shared", mountPath: "/shared" };
const serves = "httpd -f -p 8080 -h /www";

/** The pods that are there from the start. @param folder A folder of the node that they share with the tests. */
export function pods(folder: string): Manifest[] {
  return [
    manifest("order", {
      volumes: [{ name: "shared", emptyDir: {} }],
      initContainers: [
        container("first", "echo first >> /shared/order", { volumeMounts: [shared] }),
        container("sidecar", `echo sidecar >> /shared/order; touch /shared/up; ${forever}`, {
          restartPolicy: "Always",
          volumeMounts: [shared],
          startupProbe: { exec: { command: ["test", "-e", "/shared/up"] }, ...quick, failureThreshold: 60 },
        }),
        container("second", "echo second >> /shared/order", { volumeMounts: [shared] }),
      ],
      containers: [container("main", `echo main >> /shared/order; ${forever}`, { volumeMounts: [shared] })],
    }),
    manifest("probes", {
      containers: [
        container("main", `mkdir -p /www; echo well > /www/health; touch /tmp/ready; exec ${serves}`, {
          startupProbe: { tcpSocket: { port: 8080 }, ...quick, failureThreshold: 60 },
          readinessProbe: { exec: { command: ["test", "-e", "/tmp/ready"] }, ...quick },
          livenessProbe: { httpGet: { path: "/health", port: 8080 }, ...quick },
        }),
      ],
    }),
    manifest("never", { restartPolicy: "Never", containers: [container("main", "exit 3")] }),
    manifest("onfailure", {
      restartPolicy: "OnFailure",
      volumes: [{ name: "shared", emptyDir: {} }],
      containers: [
        container("main", "[ -e /shared/tried ] && exit 0; touch /shared/tried; exit 1", {
          volumeMounts: [shared],
        }),
      ],
    }),
    manifest("always", { containers: [container("main", "sleep 1; exit 0")] }),
    manifest("messages", {
      restartPolicy: "Never",
      containers: [
        container("file", "printf 'by file' > /dev/termination-log; exit 1"),
        container("log", "echo by log; exit 1", { terminationMessagePolicy: "FallbackToLogsOnError" }),
      ],
    }),
    manifest("oom", {
      restartPolicy: "Never",
      containers: [container("main", "tail /dev/zero", { resources: { limits: { memory: "24Mi" } } })],
    }),
    manifest("volumes", {
      volumes: [
        { name: "disk", emptyDir: {} },
        { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "8Mi" } },
        { name: "host", hostPath: { path: folder, type: "Directory" } },
      ],
      containers: [
        container("main", forever, {
          resources: { limits: { cpu: "250m", memory: "64Mi" } },
          volumeMounts: [
            { name: "disk", mountPath: "/disk" },
            { name: "memory", mountPath: "/memory" },
            { name: "host", mountPath: "/host", readOnly: true },
            { name: "host", mountPath: "/folder", subPath: "sub/folder" },
            { name: "host", mountPath: "/etc/file", subPath: "sub/file" },
          ],
        }),
      ],
    }),
    manifest("hooks", {
      terminationGracePeriodSeconds: 20,
      volumes: [{ name: "host", hostPath: { path: folder } }],
      containers: [
        container("main", `trap 'sleep 2; echo ended >> /host/hooks; exit 0' TERM; ${sleeping}`, {
          volumeMounts: [{ name: "host", mountPath: "/host" }],
          lifecycle: {
            postStart: { exec: { command: ["sh", "-c", "echo started >> /host/hooks"] } },
            preStop: { exec: { command: ["sh", "-c", "echo stopping >> /host/hooks"] } },
          },
        }),
      ],
    }),
    manifest("hostnet", {
      hostNetwork: true,
      containers: [container("main", forever)],
    }),
    manifest("net", {
      containers: [
        container("main", `mkdir -p /www; echo port > /www/page; exec ${serves}`, {
          ports: [{ containerPort: 8080, hostPort: 28_090 }],
        }),
        container("cat", "cat", { stdin: true }),
      ],
    }),
    manifest("nopull", { containers: [{ name: "main", image: "127.0.0.1:1/none:1" }] }),
    manifest("talks", {
      containers: [
        container("main", `i=0; while :; do i=$((i+1)); echo "line $i of many"; usleep 5000; done`),
      ],
    }),
  ];
}

const sleeping = "while :; do sleep 86400 & wait $!; done";
