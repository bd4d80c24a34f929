/**
 * The network of pods. One implementation runs CNI plugins, the other leaves pods on Docker's default bridge.
 * Operations on one pod are serialised; pods never wait for each other.
 */
export interface Network {
  /**
   * Docker's network mode for a sandbox: `none` when plugins make the pod's network, `default` when Docker does.
   */
  readonly sandboxNetworkMode: "none" | "default";

  /** Loads what is stored, finds the network, and starts to watch its configuration. Idempotent. */
  start(): Promise<void>;

  /** Stops watching. Attach and detach calls in progress run to their end. Idempotent. */
  close(): Promise<void>;

  /** The last known state; does not wait. */
  status(): NetworkStatus;

  /**
   * Attaches a pod. When it fails, or is aborted, everything is undone before it rejects.
   * @throws ShimError "unavailable" while the network is not ready; "invalid-argument" for a pod that CNI cannot
   *   express; "conflict" for a host port in use; otherwise the plugin's failure. Never "not-found".
   */
  attach(pod: PodToAttach, options: NetworkCallOptions): Promise<NetworkAttachment>;

  /**
   * Detaches a pod and releases its addresses, with the configuration that attached it, even if that is gone. A pod
   * that is not attached is a success.
   * @throws ShimError as {@link Network.attach}; a retry continues where it stopped.
   */
  detach(pod: PodToDetach, options: NetworkCallOptions): Promise<void>;

  /**
   * Keeps the namespace of an attached pod until it is detached, as attach does by itself.
   * @returns True when the pod's processes may end before it is detached. Otherwise they must live until then.
   */
  holdNamespace(podId: string, netnsPath: string): Promise<boolean>;

  /**
   * Runs CHECK: whether a pod's attachment is unchanged.
   * @throws ShimError "failed-precondition" when it is not, or was never attached here; "unsupported" when the
   *   network's CNI version is too old for CHECK.
   */
  check(pod: PodToCheck, options: NetworkCallOptions): Promise<void>;

  /**
   * Releases what pods hold that are neither in `validPodIds` nor attached by this process.
   * @throws ShimError with every failure in its text, after everything was tried.
   */
  gc(validPodIds: Iterable<string>, options: NetworkCallOptions): Promise<void>;

  /**
   * Sets the subnets of this node's pods for plugins that ask for them, and stores them: kubelet sends them once, also
   * across restarts of the runtime. The empty text changes nothing.
   * @param cidr One or more subnets, separated by commas.
   * @throws ShimError "invalid-argument".
   */
  setPodCidr(cidr: string): Promise<void>;

  /** The addresses of a pod, also from before a restart; undefined if this network assigned none. */
  cachedIps(podId: string): readonly string[] | undefined;
}

/** The token under which the shim's {@link Network} is registered. */
export const Network = Symbol("Network");

export interface NetworkCallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** CRI's NetworkReady condition. */
export interface NetworkStatus {
  readonly ready: boolean;
  /** One word in CamelCase, when not ready. */
  readonly reason?: string;
  /** A message for the operator, when not ready. */
  readonly message?: string;
  /** The network that pods join now. */
  readonly networkName?: string;
}

export interface PodIdentity {
  /** The sandbox container's full id. */
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

export interface PodToAttach extends PodIdentity {
  /** Such as `/proc/PID/ns/net`. */
  readonly netnsPath: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly portMappings: readonly PodPortMapping[];
  readonly dns?: PodDns | undefined;
}

export interface PodToDetach extends PodIdentity {
  /** Undefined, or a missing path, when the namespace no longer exists. */
  readonly netnsPath?: string | undefined;
  /** Used when no attachment of the pod is stored. */
  readonly portMappings?: readonly PodPortMapping[] | undefined;
}

export interface PodToCheck extends PodIdentity {
  readonly netnsPath: string;
}

export interface PodPortMapping {
  /** A mapping with port 0 has no host port and is left out. */
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp" | "sctp";
  /** All addresses of the node when empty or left out. */
  readonly hostIp?: string | undefined;
}

export interface PodDns {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface NetworkAttachment {
  /** Without prefix length, IPv4 first; undefined when Docker assigns the addresses. */
  readonly ips: readonly string[] | undefined;
  /** The plugins' result, as CNI defines it; undefined without plugins. */
  readonly result: Readonly<Record<string, unknown>> | undefined;
}
