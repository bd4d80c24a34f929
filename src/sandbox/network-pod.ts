import type { SandboxCheckpoint } from "../checkpoint/index.js";
import { Protocol, type PodSandboxConfig } from "../gen/runtime/v1/api_pb.js";
import type { SandboxRecord } from "../inventory/index.js";
import type { PodToAttach, PodToDetach } from "../network/index.js";

const protocols = { [Protocol.TCP]: "tcp", [Protocol.UDP]: "udp", [Protocol.SCTP]: "sctp" } as const;

/** What must be known of a pod once its container is gone. */
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

/** A running pod as the network room wants it. */
export function podToAttach(
  { id, docker, annotations }: SandboxRecord,
  { name, namespace, uid, portMappings }: SandboxCheckpoint,
  config: PodSandboxConfig,
): PodToAttach {
  const netnsPath = docker.state.pid === undefined ? "" : `/proc/${docker.state.pid}/ns/net`;
  return { id, name, namespace, uid, netnsPath, annotations, portMappings, dns: config.dnsConfig };
}

/** A pod whose addresses are to be given back, from what is still known of it. */
export function podToDetach(
  id: string,
  record: SandboxRecord | undefined,
  checkpoint: SandboxCheckpoint | undefined,
): PodToDetach {
  const pid = record?.docker.state.pid;
  return {
    id,
    name: record?.pod.name ?? checkpoint?.name ?? "",
    namespace: record?.pod.namespace ?? checkpoint?.namespace ?? "",
    uid: record?.pod.uid ?? checkpoint?.uid ?? "",
    // A pod that does not run has no namespace to enter; plugins are then told of none.
    netnsPath: pid === undefined ? undefined : `/proc/${pid}/ns/net`,
    portMappings: checkpoint?.portMappings,
  };
}
