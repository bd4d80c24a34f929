/**
 * The room that gives pods their network. One implementation runs CNI plugins, the other leaves pods on
 * Docker's default bridge. Operations on one pod run one after the other; pods never wait for each other.
 */
export interface Network {
  /**
   * Docker's network mode for a sandbox: `none` where this room makes the pod's network, `default` where Docker
   * does.
   */
  readonly sandboxNetworkMode: "none" | "default";

  /** Looks at the node for the first time and goes on looking. Idempotent. */
  start(): Promise<void>;

  /** Stops looking. Attach and detach calls under way run to their end. Idempotent. */
  close(): Promise<void>;

  /** What the last look at the node found. It never waits. */
  status(): NetworkStatus;

  /**
   * Connects a pod. When it fails, or is aborted, everything it did is undone before it rejects.
   * @throws ShimError "unavailable" while the network is not ready; "invalid-argument" for a pod that the
   *   network's protocol cannot express; else what the plugin's failure amounts to. Never "not-found".
   */
  attach(pod: PodToAttach, options: NetworkCallOptions): Promise<NetworkAttachment>;

  /**
   * Disconnects a pod and gives its addresses back, with the configuration that connected it, be that still
   * in place or not. A pod that is not connected is a success.
   * @throws ShimError as {@link Network.attach}; a retry goes on where it stopped.
   */
  detach(pod: PodToDetach, options: DetachOptions): Promise<void>;

  /**
   * Takes over a pod that was connected before this process, and asks whether its connection is still as it was made.
   * @throws ShimError "failed-precondition" when it is not, or was never made here; "unsupported" when the
   *   network's configuration is too old to be asked.
   */
  check(pod: PodToCheck, options: NetworkCallOptions): Promise<void>;

  /**
   * Gives back what pods hold that are neither in `validPodIds` nor being attached by this process.
   * @throws ShimError with every failure in its text, once all was tried.
   */
  gc(validPodIds: Iterable<string>, options: NetworkCallOptions): Promise<void>;

  /**
   * Sets the subnets of this node's pods for plugins that ask for them, and keeps them over a restart, for
   * kubelet tells them once; the empty text changes nothing.
   * @param cidr One or more subnets, separated by commas.
   * @throws ShimError "invalid-argument".
   */
  setPodCidr(cidr: string): Promise<void>;

  /** The addresses that a pod was given, also before a restart; undefined when this room gave it none. */
  cachedIps(podId: string): readonly string[] | undefined;
}

/** The token under which the shim's {@link Network} is registered. */
export const Network = Symbol("Network");

export interface NetworkCallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface DetachOptions extends NetworkCallOptions {
  /**
   * Called when the pod's processes may end already, because this room keeps the namespace until it is done. Where it
   * cannot, this is not called, and they must live until then.
   */
  readonly onNamespaceKept?: () => void;
}

/** CRI's NetworkReady condition. */
export interface NetworkStatus {
  readonly ready: boolean;
  /** One word in CamelCase, when not ready. */
  readonly reason?: string;
  /** For people, when not ready. */
  readonly message?: string;
  /** Of the network that pods join now. */
  readonly networkName?: string;
}

/** Who a pod is. */
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
  /** Left out, or leading nowhere, when the namespace is gone already. */
  readonly netnsPath?: string | undefined;
  /** Used where nothing is known of how the pod was attached. */
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

/** What a pod was given. */
export interface NetworkAttachment {
  /** Without prefix length, IPv4 first; undefined where Docker gives the addresses. */
  readonly ips: readonly string[] | undefined;
  /** The plugins' result, as CNI defines it; undefined where there are no plugins. */
  readonly result: Readonly<Record<string, unknown>> | undefined;
}
