import { isIP } from "node:net";
import { ShimError } from "../../base/index.js";
import type { PodDns, PodPortMapping } from "../network.js";
import type { JsonObject } from "./json.js";
import type { PluginConfig } from "./network-config.js";
import { parseQuantity } from "./quantity.js";

export interface CapabilityInput {
  readonly portMappings: readonly PodPortMapping[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly dns: PodDns | undefined;
  readonly podCidrs: readonly string[];
}

/**
 * What plugins get that declare a capability.
 * @throws ShimError "invalid-argument" for a port mapping or bandwidth that makes no sense.
 * @see CNI CONVENTIONS, "Well-known Capabilities"
 */
export function capabilityArgs({ portMappings, annotations, dns, podCidrs }: CapabilityInput): JsonObject {
  const bandwidth = bandwidthOf(annotations);
  return {
    portMappings: portMappings.filter(({ hostPort }) => hostPort !== 0).map(portMapping),
    ...(bandwidth && { bandwidth }),
    ...(podCidrs.length > 0 && { ipRanges: podCidrs.map((subnet) => [{ subnet }]) }),
    ...(dns && { dns: { servers: dns.servers, searches: dns.searches, options: dns.options } }),
  };
}

/** The capabilities that a pod needs, and not just offers, and that no plugin declares. */
export function undeclared(plugins: readonly PluginConfig[], args: JsonObject): string[] {
  const { portMappings, bandwidth } = args;
  const needed = [
    ...(Array.isArray(portMappings) && portMappings.length > 0 ? ["portMappings"] : []),
    ...(bandwidth === undefined ? [] : ["bandwidth"]),
  ];
  return needed.filter((capability) => !plugins.some(({ capabilities }) => capabilities.has(capability)));
}

/**
 * Reads a list of subnets separated by commas.
 * @throws ShimError "invalid-argument".
 */
export function parsePodCidrs(text: string): string[] {
  const cidrs = text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  for (const cidr of cidrs) {
    const [address = "", prefix = "", ...more] = cidr.split("/");
    const bits = isIP(address) === 4 ? 32 : 128;
    if (isIP(address) !== 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits && more.length === 0)
      continue;
    throw invalid(`pod CIDR ${JSON.stringify(cidr.slice(0, 80))} is not a subnet such as 10.244.1.0/24`);
  }
  return cidrs;
}

function portMapping({ hostPort, containerPort, protocol, hostIp = "" }: PodPortMapping): JsonObject {
  if (!isPort(hostPort) || !isPort(containerPort)) {
    throw invalid(`port mapping ${hostPort} to ${containerPort}: ports are 1 to 65535`);
  }
  if (hostIp !== "" && isIP(hostIp) === 0) {
    throw invalid(`port mapping of ${hostPort}: ${JSON.stringify(hostIp.slice(0, 80))} is not an IP address`);
  }
  return { hostPort, containerPort, protocol, hostIP: hostIp };
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= 65_535;
}

const ingressAnnotation = "kubernetes.io/ingress-bandwidth";
const egressAnnotation = "kubernetes.io/egress-bandwidth";

/** What all runtimes give, in bits: as much as the plugins' 32-bit field holds. */
const burstBits = 2_147_483_647;

const smallestRate = 1_000n;
const largestRate = 1_000_000_000_000_000n;

function bandwidthOf(annotations: Readonly<Record<string, string>>): JsonObject | undefined {
  const ingressRate = rateOf(annotations, ingressAnnotation);
  const egressRate = rateOf(annotations, egressAnnotation);
  if (ingressRate === undefined && egressRate === undefined) return undefined;
  return {
    ...(ingressRate !== undefined && { ingressRate, ingressBurst: burstBits }),
    ...(egressRate !== undefined && { egressRate, egressBurst: burstBits }),
  };
}

/** In bits per second. */
function rateOf(annotations: Readonly<Record<string, string>>, key: string): number | undefined {
  const text = annotations[key];
  if (text === undefined) return undefined;
  const rate = parseQuantity(text);
  if (rate !== undefined && rate >= smallestRate && rate <= largestRate) return Number(rate);
  throw invalid(
    `annotation ${key}: ${JSON.stringify(text.slice(0, 80))} is not a quantity of bits per second from 1k to 1P`,
  );
}

function invalid(message: string): ShimError {
  return new ShimError("invalid-argument", message, { operation: "network" });
}
