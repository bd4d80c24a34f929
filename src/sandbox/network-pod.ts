import type { SandboxCheckpoint } from "../checkpoint/index.js";
import { Protocol, type PodSandboxConfig } from "../gen/runtime/v1/api_pb.js";
import type { SandboxRecord } from "../inventory/index.js";
import type { PodToAttach, PodToDetach } from "../network/index.js";
import { isReady } from "../translate/index.js";

const protocols = { [Protocol.TCP]: "tcp", [Protocol.UDP]: "udp", [Protocol.SCTP]: "sctp" } as const;

/** The data of a pod that is needed after its container was removed. */
export function checkpointOf(config: PodSandboxConfig, hostNetwork: boolean): SandboxCheckpoint {
  return {
    name: config.metadata?.name ?? "",
    namespace: config.metadata?.namespace ?? "",
    uid: config.metadata?.uid ?? "",
    hostNetwork,
    portMappings: config.portMappings.map(({ protocol, containerPort, hostPort, hostIp }) => ({
      protocol: protocols[protocol],
      containerPort,
      hostPort,
      hostIp,
    })),
    unfinished: true,
  };
}

/** The network namespace of a pod; undefined when it has ended, or is the node's. */
export function netnsPathOf({ docker }: SandboxRecord): string | undefined {
  const { pid } = docker.state;
  return pid === undefined || !isReady(docker) || docker.host.networkMode === "host"
    ? undefined
    : `/proc/${pid}/ns/net`;
}

/** The arguments to attach a running pod. */
export function podToAttach(
  record: SandboxRecord,
  { name, namespace, uid, portMappings }: SandboxCheckpoint,
  config: PodSandboxConfig,
): PodToAttach {
  const { id, annotations } = record;
  const netnsPath = netnsPathOf(record) ?? "";
  return { id, name, namespace, uid, netnsPath, annotations, portMappings, dns: config.dnsConfig };
}

/** The arguments to detach a pod, as far as they are known. */
export function podToDetach(
  id: string,
  record: SandboxRecord | undefined,
  checkpoint: SandboxCheckpoint | undefined,
): PodToDetach {
  return {
    id,
    name: record?.pod.name ?? checkpoint?.name ?? "",
    namespace: record?.pod.namespace ?? checkpoint?.namespace ?? "",
    uid: record?.pod.uid ?? checkpoint?.uid ?? "",
    netnsPath: record && netnsPathOf(record),
    portMappings: checkpoint?.portMappings,
  };
}
