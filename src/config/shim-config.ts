import * as z from "zod";
import { isImageId, longestTimerMs, messageOf, parseReference } from "../base/index.js";
import { isSubnet, isWildcard, parseBindAddress } from "./bind-address.js";

const milliseconds = z
  .number()
  .int()
  .positive()
  .max(longestTimerMs, `must be at most ${longestTimerMs}, 24 days: Node's timers hold no more`);
const absolutePath = z.string().startsWith("/", "must be an absolute path");
const imageName = z.string().superRefine((text, context) => {
  try {
    if (!isImageId(text)) parseReference(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: messageOf(error) });
  }
});

/** All settings with their defaults. Units are part of the names. */
export const ShimConfigSchema = z.strictObject({
  /** The engine. It is configured, never detected. */
  engine: z
    .discriminatedUnion(
      "kind",
      [
        z.strictObject({
          kind: z.literal("docker"),
          /** `unix:///path` or `tcp://host:port`. */
          endpoint: z
            .string()
            .regex(/^(unix:\/\/\/.+|tcp:\/\/[^/]+:\d+)$/, "must be unix:///path or tcp://host:port")
            .default("unix:///var/run/docker.sock"),
        }),
        z.strictObject({
          kind: z.literal("memory"),
          /** The images that can be pulled from its registry, besides the sandbox image. Each has `sh` and a few small tools. */
          images: z.array(imageName).default(["busybox:latest", "busybox:1.36", "alpine:latest"]),
        }),
        /** A DockerService of the embedding program. */
        z.strictObject({ kind: z.literal("custom") }),
      ],
      { error: ({ input }) => (typeof input === "object" ? "must be docker or memory" : undefined) },
    )
    .default({ kind: "docker", endpoint: "unix:///var/run/docker.sock" }),
  /** The state directory, with the pod checkpoints. The same as cri-dockerd's, so that a node can migrate and go back. */
  rootDirectory: absolutePath.default("/var/lib/cri-dockerd"),
  /** The sandbox image (pause). It is pulled at start and pinned. */
  sandboxImage: imageName.default("registry.k8s.io/pause:3.10"),
  /** The timeout of a call to Docker that has none of its own. */
  runtimeRequestTimeoutMs: milliseconds.default(120_000),
  /** A pull without progress for this long is cancelled. */
  imagePullProgressDeadlineMs: milliseconds.default(60_000),
  /** Use the node's Docker logins for every pull that brings no credentials, not only for the sandbox image. */
  nodeCredentialsForAllPulls: z.boolean().default(false),
  network: z
    .strictObject({
      /**
       * `cni` runs CNI plugins; `none` leaves pods on Docker's default bridge. The memory engine has no plugins: its
       * default is `none`.
       */
      plugin: z.enum(["cni", "none"]).default("cni"),
      cniConfDir: absolutePath.default("/etc/cni/net.d"),
      cniBinDirs: z.array(absolutePath).min(1).default(["/opt/cni/bin"]),
      cniCacheDir: absolutePath.default("/var/lib/cni/cache"),
      /** Comma-separated subnets for plugins that ask for ipRanges; kubelet's UpdateRuntimeConfig sets it too. */
      podCidr: z
        .string()
        .refine(
          (text) => text === "" || text.split(",").every(isSubnet),
          "must be subnets, comma-separated, such as 10.1.0.0/24,fd00:1::/64",
        )
        .default(""),
      /** The timeout of one run of a plugin. */
      cniTimeoutMs: milliseconds.default(220_000),
    })
    .prefault({}),
  logs: z
    .strictObject({
      /** `cri` writes log files in CRI's format; `docker-json` links to Docker's JSON log files, as cri-dockerd does. */
      mode: z.enum(["cri", "docker-json"]).default("cri"),
      /**
       * Docker's log driver for the containers that the shim creates. By default `local` from Docker 23 on, which keeps
       * every byte, and `json-file` before and with the mode `docker-json`.
       */
      dockerDriver: z.enum(["json-file", "local"]).optional(),
      /** Docker rotates its own copy of a log at this size, in bytes. */
      dockerMaxSizeBytes: z.number().int().min(65_536).default(33_554_432),
      dockerMaxFiles: z.number().int().min(1).default(2),
    })
    .prefault({}),
  streaming: z
    .strictObject({
      /**
       * `host:port`; port 0 picks a free one. It is part of the URLs that the kubelet gets. A URL with its token is
       * the only credential, so this must be one address, never all interfaces.
       */
      address: z
        .string()
        .refine(
          (text) => parseBindAddress(text) !== undefined,
          "must be host:port, such as 127.0.0.1:0 or [::1]:0",
        )
        .refine(
          (text) => !isWildcard(parseBindAddress(text)?.host ?? ""),
          "must be one address, not every interface: exec, attach and port-forward have no authentication of their own",
        )
        .default("127.0.0.1:0"),
      /** Serves https. The files are reloaded when they change. Without `keyFile`, `certFile` holds the key too. */
      tls: z.strictObject({ certFile: absolutePath, keyFile: absolutePath.optional() }).optional(),
      /** How long a client may take to open its streams. */
      creationTimeoutMs: milliseconds.default(30_000),
      /** A session without traffic for this long is closed. */
      idleTimeoutMs: milliseconds.default(14_400_000),
      /** The process of an exec keeps running when its client disconnects; otherwise it is killed with its children. */
      keepAbandonedExecs: z.boolean().default(false),
    })
    .prefault({}),
  /** docker-cri's own metrics, for Prometheus; off without an address. */
  metrics: z
    .strictObject({
      /** `host:port`; port 0 picks a free one. They need no authentication, and contain no names of pods. */
      address: z
        .string()
        .refine(
          (text) => parseBindAddress(text) !== undefined,
          "must be host:port, such as 127.0.0.1:9323 or [::1]:9323",
        )
        .optional(),
    })
    .prefault({}),
  /** Never sets a container's oom_score_adj below docker-cri's own; for nodes without CAP_SYS_RESOURCE. */
  restrictOomScoreAdj: z.boolean().default(false),
  /** A mount's host path that does not exist: `create` makes an empty directory, `refuse` returns an error, as CRI specifies. */
  missingHostPath: z.enum(["create", "refuse"]).default("create"),
  /** Pods and containers that were created, but never started or used by a call, are removed after this long. */
  orphanGraceMs: milliseconds.default(3_600_000),
  logLevel: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
});

/** A validated configuration: every key has a value. */
export type ShimConfig = z.output<typeof ShimConfigSchema>;

/** Whether the engine runs on this node, so that its processes, files and cgroups can be read here. */
export function isEngineLocal({ engine }: Pick<ShimConfig, "engine">): boolean {
  return engine.kind !== "docker" || engine.endpoint.startsWith("unix:");
}

/** A configuration as the user writes it: every key is optional. */
export type ShimConfigInput = z.input<typeof ShimConfigSchema>;

/** The token under which the shim's {@link ShimConfig} is registered. */
export const ShimConfig = Symbol("ShimConfig");
