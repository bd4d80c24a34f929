import { ShimError } from "../base/index.js";
import { parseGoDuration } from "./duration.js";
import { booleanOf, oneOf, type FlagContext, type ServeFlag } from "./flag.js";
import { ShimConfigSchema } from "./shim-config.js";

const defaults = ShimConfigSchema.parse({});

const group = "Engine and pods:";

/** Flags of the engine and of calls to it. */
export const engineFlags: readonly ServeFlag[] = [
  {
    group,
    names: "--engine",
    value: "<name>",
    default: "docker",
    description:
      "docker, or memory: an engine without Docker, for trying things out; its pods live in this process",
    criDockerd: false,
    apply: (value, { draft }) => {
      const kind = oneOf(value, ["docker", "memory"]);
      if (draft.engine?.kind !== kind) draft.engine = { kind };
    },
  },
  {
    group,
    names: "--docker-endpoint",
    value: "<url>",
    default: "unix:///var/run/docker.sock",
    description: "Docker's socket, unix:///path or tcp://host:port; empty takes it from DOCKER_HOST",
    criDockerd: true,
    apply: (value, context) => {
      if (context.draft.engine?.kind === "memory")
        throw new ShimError("invalid-argument", "the memory engine has no endpoint: drop one of the two");
      context.draft.engine =
        value === "" ? dockerOfEnvironment(context) : { kind: "docker", endpoint: value };
    },
  },
  {
    group,
    names: "--root-directory, --cri-dockerd-root-directory",
    value: "<dir>",
    default: defaults.rootDirectory,
    description:
      "where checkpoints are kept; cri-dockerd's own folder, so that a node can change over and back",
    criDockerd: true,
    apply: (value, { draft }) => {
      draft.rootDirectory = value;
    },
  },
  {
    group,
    names: "--pod-infra-container-image",
    value: "<image>",
    default: defaults.sandboxImage,
    description:
      "the image that holds a pod's namespaces; pulled at start and kept from image garbage collection",
    criDockerd: true,
    apply: (value, { draft }) => {
      draft.sandboxImage = value;
    },
  },
  {
    group,
    names: "--image-pull-progress-deadline",
    value: "<duration>",
    default: "1m0s",
    description: "a pull without any progress for this long is ended",
    criDockerd: true,
    apply: (value, { draft }) => {
      const ms = parseGoDuration(value);
      if (ms === 0)
        throw new ShimError("invalid-argument", "a pull needs some time to make progress: write at least 1s");
      draft.imagePullProgressDeadlineMs = ms;
    },
  },
  {
    group,
    names: "--runtime-request-timeout",
    value: "<duration>",
    default: "2m0s",
    description: "the limit of one call to Docker that has none of its own; 0 stands for the default",
    criDockerd: true,
    apply: (value, { draft }) => {
      const ms = parseGoDuration(value);
      if (ms > 0) draft.runtimeRequestTimeoutMs = ms;
    },
  },
  {
    group,
    names: "--restrict-oom-score-adj",
    value: "[true|false]",
    default: "false",
    description:
      "raise a container's oom_score_adj to docker-cri's own; for nodes where runc may not lower it (no CAP_SYS_RESOURCE)",
    criDockerd: false,
    apply: (value, { draft }) => {
      draft.restrictOomScoreAdj = booleanOf(value);
    },
  },
  {
    group,
    names: "--missing-host-path",
    value: "<what>",
    default: defaults.missingHostPath,
    description:
      "create: a mount's missing host path becomes an empty folder, as with cri-dockerd; refuse: an error, as CRI specifies",
    criDockerd: false,
    apply: (value, { draft }) => {
      draft.missingHostPath = oneOf(value, ["create", "refuse"]);
    },
  },
];

function dockerOfEnvironment({ environment, note }: FlagContext): { kind: "docker"; endpoint?: string } {
  const { DOCKER_HOST: host = "", DOCKER_TLS_VERIFY: tls = "", DOCKER_API_VERSION: api = "" } = environment;
  if (tls !== "" && host.startsWith("tcp:"))
    throw new ShimError(
      "invalid-argument",
      "DOCKER_TLS_VERIFY is set, and docker-cri does not speak TLS to Docker: use Docker's Unix socket",
    );
  if (api !== "")
    note("DOCKER_API_VERSION has no effect: the API version is agreed with Docker at each connect");
  return host === "" ? { kind: "docker" } : { kind: "docker", endpoint: host };
}
