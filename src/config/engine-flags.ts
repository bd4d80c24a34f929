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
      "docker, or memory: an in-memory engine for trials and tests, whose pods live in this process",
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
    description:
      "endpoint of Docker's API: unix:///path or tcp://host:port; an empty value takes DOCKER_HOST",
    criDockerd: true,
    apply: (value, context) => {
      if (context.draft.engine?.kind === "memory")
        throw new ShimError(
          "invalid-argument",
          "the in-memory engine has no endpoint: leave out either --engine memory or --docker-endpoint",
        );
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
      "state directory, with the pod checkpoints; the same as cri-dockerd's, so that a node can migrate and go back",
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
      "the sandbox image (pause); pulled at start and exempt from the kubelet's image garbage collection",
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
    description: "cancel an image pull that makes no progress for this long",
    criDockerd: true,
    apply: (value, { draft }) => {
      const ms = parseGoDuration(value);
      if (ms === 0) throw new ShimError("invalid-argument", "must be longer than 0, such as 1m");
      draft.imagePullProgressDeadlineMs = ms;
    },
  },
  {
    group,
    names: "--runtime-request-timeout",
    value: "<duration>",
    default: "2m0s",
    description: "timeout of a call to Docker that has none of its own; 0 means the default",
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
      "never set a container's oom_score_adj below docker-cri's own; for nodes without CAP_SYS_RESOURCE",
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
      "when a mount's host path does not exist: create makes an empty directory, as cri-dockerd does; refuse returns an error, as CRI specifies",
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
      "DOCKER_TLS_VERIFY is set, but docker-cri does not support TLS to Docker: use Docker's Unix socket",
    );
  if (api !== "")
    note("DOCKER_API_VERSION has no effect: the API version is negotiated with Docker at each connect");
  return host === "" ? { kind: "docker" } : { kind: "docker", endpoint: host };
}
