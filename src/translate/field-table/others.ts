import { each, ignored, mapped, refused, type FieldTable } from "./treatment.js";

const filter = mapped("the inventory's records; all conditions must match");
const stream = mapped("the streaming session");
const auth = mapped("X-Registry-Auth");
const imageName = mapped("the image's name");
const wholePod = refused(
  "belongs to checkpoints of pods, which Docker does not have: the request is checked, then refused",
);

/** Images, commands and streams, statistics, and the runtime as a whole. */
export const otherFields: FieldTable = {
  ImageSpec: {
    image: imageName,
    annotations: ignored("they are for runtimes with several ways to pull"),
    user_specified_image: ignored("it is informational: the name that was resolved to image"),
    runtime_handler: mapped("the default runtime only, because Docker has one image store for all runtimes"),
    image_ref: ignored("runtimes set it in responses"),
  },
  ListImagesRequest: each(filter, "filter"),
  StreamImagesRequest: each(filter, "filter"),
  ImageFilter: each(filter, "image"),
  ImageStatusRequest: { image: imageName, verbose: mapped("the response's info") },
  PullImageRequest: {
    image: imageName,
    auth,
    sandbox_config: ignored("it is informational: the pod of the pull"),
  },
  AuthConfig: each(
    auth,
    "username",
    "password",
    "auth",
    "server_address",
    "identity_token",
    "registry_token",
  ),
  RemoveImageRequest: each(imageName, "image"),
  ImageFsInfoRequest: {},

  ExecSyncRequest: {
    container_id: mapped("the container"),
    cmd: mapped("the exec's Cmd"),
    timeout: mapped("the command's deadline"),
  },
  ExecRequest: each(stream, "container_id", "cmd", "tty", "stdin", "stdout", "stderr"),
  AttachRequest: each(stream, "container_id", "stdin", "tty", "stdout", "stderr"),
  PortForwardRequest: each(stream, "pod_sandbox_id", "port"),

  ContainerStatsRequest: each(mapped("the container"), "container_id"),
  ListContainerStatsRequest: each(filter, "filter"),
  StreamContainerStatsRequest: each(filter, "filter"),
  ContainerStatsFilter: each(filter, "id", "pod_sandbox_id", "label_selector"),
  PodSandboxStatsRequest: each(mapped("the sandbox"), "pod_sandbox_id"),
  ListPodSandboxStatsRequest: each(filter, "filter"),
  StreamPodSandboxStatsRequest: each(filter, "filter"),
  PodSandboxStatsFilter: each(filter, "id", "label_selector"),
  ListMetricDescriptorsRequest: {},
  ListPodSandboxMetricsRequest: {},
  StreamPodSandboxMetricsRequest: {},

  VersionRequest: each(ignored("there is one CRI v1 for all releases of callers"), "version"),
  StatusRequest: each(mapped("the response's info"), "verbose"),
  RuntimeConfigRequest: {},
  UpdateRuntimeConfigRequest: each(mapped("the pod network"), "runtime_config"),
  RuntimeConfig: each(mapped("the pod network"), "network_config"),
  NetworkConfig: each(mapped("the ipRanges of CNI plugins"), "pod_cidr"),
  GetEventsRequest: {},

  CheckpointContainerRequest: each(mapped("Docker's checkpoint"), "container_id", "location", "timeout"),
  CheckpointPodRequest: each(wholePod, "pod_sandbox_id", "output_path", "container_ids", "options"),
  RestorePodRequest: each(
    wholePod,
    "checkpoint_path",
    "config",
    "runtime_handler",
    "options",
    "container_configs",
  ),
};
