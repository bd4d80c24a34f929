import { isIP } from "node:net";
import type { DockerPortBinding } from "../docker/index.js";
import { Protocol, type PortMapping } from "../gen/runtime/v1/api_pb.js";
import { invalid, quote, unknownValue } from "./validation.js";

const largestPort = 65_535;

/**
 * The ports to publish on the node. Mappings without a host port are only validated.
 * @throws ShimError "invalid-argument"
 */
export function portBindings(mappings: readonly PortMapping[]): DockerPortBinding[] {
  return mappings.flatMap((mapping, index) => {
    const field = `config.port_mappings[${index}]`;
    checkPort(mapping.containerPort, `${field}.container_port`);
    checkPort(mapping.hostPort, `${field}.host_port`);
    if (mapping.hostIp !== "" && isIP(mapping.hostIp) === 0) {
      throw invalid(`${field}.host_ip`, `is not an IP address: ${quote(mapping.hostIp)}`);
    }
    const protocol = protocolOf(mapping.protocol, field);
    if (mapping.hostPort === 0) return [];
    if (mapping.containerPort === 0) throw invalid(`${field}.container_port`, "is missing");
    const { containerPort, hostPort, hostIp } = mapping;
    return [{ containerPort, protocol, hostPort, ...(hostIp === "" ? {} : { hostIp }) }];
  });
}

function checkPort(port: number, field: string): void {
  if (port < 0 || port > largestPort)
    throw invalid(field, `is ${port}, but must be between 0 and ${largestPort}`);
}

function protocolOf(protocol: Protocol, field: string): DockerPortBinding["protocol"] {
  switch (protocol) {
    case Protocol.TCP:
      return "tcp";
    case Protocol.UDP:
      return "udp";
    case Protocol.SCTP:
      return "sctp";
    default:
      throw unknownValue(`${field}.protocol`, protocol);
  }
}
