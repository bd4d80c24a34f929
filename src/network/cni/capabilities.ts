import { isIP } from "node:net";
import { ShimError } from "../../base/index.js";
import type { PodDns, PodPortMapping } from "../network.js";
import type { JsonObject } from "./json.js";
import type { PluginConfig } from "./network-config.js";

export interface CapabilityInput {
  readonly portMappings: readonly PodPortMapping[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly dns: PodDns | undefined;
  readonly podCidrs: readonly string[];
}

/**
 * The values for plugins that declare a capability.
 * @throws ShimError "invalid-argument" for an invalid port mapping or bandwidth.
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

/** The burst that all runtimes pass, in bits: the maximum of the plugins' 32-bit field. */
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

const decimal: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binary: Readonly<Record<string, bigint>> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

/**
 * The value of a Kubernetes quantity such as "10M", "1.5Gi" or "2e6", rounded up to a whole number; undefined
 * for a text of another form.
 * @see Kubernetes API, resource.Quantity
 */
export function parseQuantity(text: string): bigint | undefined {
  // The lengths are limited, so that a hostile exponent cannot result in a number with a million digits.
  const match = /^([+-]?)(\d{0,30})(?:\.(\d{0,30}))?(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)$/.exec(
    text,
  );
  if (!match) return undefined;
  const [, sign, whole = "", fraction = "", exponent, suffix = ""] = match;
  if (whole + fraction === "") return undefined;
  const digits = BigInt(whole + fraction);
  const shift = binary[suffix] ?? 0n;
  const power = (exponent === undefined ? (decimal[suffix] ?? 0) : Number(exponent)) - fraction.length;
  const scaled = digits << shift;
  const value =
    power >= 0 ? scaled * 10n ** BigInt(power) : divideUp(scaled, 10n ** BigInt(-power), sign === "-");
  return sign === "-" ? -value : value;
}

/** Rounds towards the larger value: away from zero, or for a negative number towards it. */
function divideUp(value: bigint, by: bigint, negative: boolean): bigint {
  return negative || value % by === 0n ? value / by : value / by + 1n;
}
