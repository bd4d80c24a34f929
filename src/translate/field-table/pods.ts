import { each, ignored, mapped, refused, windows, type FieldTable } from "./treatment.js";

const userNamespace = refused(
  "needs a user namespace per pod, which Docker does not have: set hostUsers: true",
);
const ofThePod = ignored("the kubelet sets the pod's totals on the pod's cgroup");
const id = mapped("the container");
const filter = mapped("the inventory's records; all conditions must match");

/** The messages of the pod sandbox RPCs. */
export const podFields: FieldTable = {
  RunPodSandboxRequest: {
    config: mapped("the sandbox container"),
    runtime_handler: mapped("HostConfig.Runtime, for a runtime that Docker has"),
  },
  PodSandboxConfig: {
    metadata: mapped("the container's name"),
    hostname: mapped("Config.Hostname; with the host network only the node's host name is allowed"),
    log_directory: mapped("the log path label of the containers"),
    dns_config: mapped("the file at ResolvConfPath"),
    port_mappings: mapped("the CNI plugins, or HostConfig.PortBindings on Docker's own network"),
    ...each(mapped("Config.Labels"), "labels", "annotations"),
    linux: mapped("HostConfig"),
    windows,
  },
  PodSandboxMetadata: each(mapped("the container's name"), "name", "uid", "namespace", "attempt"),
  DNSConfig: each(mapped("resolv.conf"), "servers", "searches", "options"),
  PortMapping: each(mapped("the published port"), "protocol", "container_port", "host_port", "host_ip"),
  LinuxPodSandboxConfig: {
    cgroup_parent: mapped("HostConfig.CgroupParent of the sandbox and its containers"),
    security_context: mapped("HostConfig"),
    sysctls: mapped("HostConfig.Sysctls"),
    ...each(ofThePod, "overhead", "resources"),
  },
  LinuxSandboxSecurityContext: {
    namespace_options: mapped("NetworkMode, IpcMode and PidMode"),
    selinux_options: mapped("SecurityOpt label="),
    ...each(mapped("Config.User"), "run_as_user", "run_as_group"),
    readonly_rootfs: mapped("HostConfig.ReadonlyRootfs"),
    supplemental_groups: mapped("HostConfig.GroupAdd"),
    supplemental_groups_policy: ignored("the pause image has no groups"),
    privileged: mapped("whether the pod's containers may be privileged"),
    ...each(mapped("SecurityOpt seccomp="), "seccomp", "seccomp_profile_path"),
    apparmor: mapped("SecurityOpt apparmor="),
  },
  NamespaceOption: {
    network: mapped("HostConfig.NetworkMode"),
    pid: mapped("HostConfig.PidMode"),
    ipc: mapped("HostConfig.IpcMode"),
    target_id: mapped("HostConfig.PidMode, for a container of the same pod"),
    userns_options: mapped("HostConfig.UsernsMode under userns-remap; POD is refused"),
  },
  UserNamespace: {
    mode: mapped("HostConfig.UsernsMode under userns-remap; POD is refused"),
    ...each(userNamespace, "uids", "gids"),
  },
  IDMapping: each(userNamespace, "host_id", "container_id", "length"),
  SELinuxOption: each(mapped("SecurityOpt label="), "user", "role", "type", "level"),
  Int64Value: each(mapped("the field that holds it"), "value"),
  SecurityProfile: each(mapped("SecurityOpt"), "profile_type", "localhost_ref"),
  WindowsPodSandboxConfig: each(windows, "security_context"),
  WindowsSandboxSecurityContext: each(
    windows,
    "run_as_username",
    "credential_spec",
    "host_process",
    "namespace_options",
  ),
  WindowsNamespaceOption: each(windows, "network"),
  StopPodSandboxRequest: each(id, "pod_sandbox_id"),
  RemovePodSandboxRequest: each(id, "pod_sandbox_id"),
  PodSandboxStatusRequest: { pod_sandbox_id: id, verbose: mapped("the response's info") },
  ListPodSandboxRequest: each(filter, "filter"),
  StreamPodSandboxesRequest: each(filter, "filter"),
  PodSandboxFilter: each(filter, "id", "state", "label_selector"),
  PodSandboxStateValue: each(filter, "state"),
  UpdatePodSandboxResourcesRequest: { pod_sandbox_id: id, ...each(ofThePod, "overhead", "resources") },
};
