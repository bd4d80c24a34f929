import { isIP } from "node:net";
import { ShimError } from "../../base/index.js";
import { excerpt, isObject, type JsonObject } from "./json.js";
import { atLeast, isKnownVersion, type CniVersion } from "./versions.js";

/** A plugin's result, checked and in the version that its configuration asks for. */
export type CniResult = JsonObject & { readonly cniVersion: CniVersion };

/**
 * Checks a result and converts it to `version`. Fields that this runner does not know stay as they are.
 * @throws ShimError "internal" when it is not valid.
 * @see CNI SPEC, section 5, "ADD Success", in each of its versions
 */
export function readResult(raw: JsonObject, version: CniVersion): CniResult {
  // Plugins that leave the version out mean that of their configuration.
  const from = raw["cniVersion"] === undefined || raw["cniVersion"] === "" ? version : raw["cniVersion"];
  if (!isKnownVersion(from)) throw senseless(`its cniVersion is ${excerpt(JSON.stringify(from), 40)}`);
  if (!atLeast(version, "0.3.0")) return { ...raw, cniVersion: version };
  const { ip4, ip6, ips, interfaces, ...rest } = raw;
  const legacy = !atLeast(from, "0.3.0");
  return {
    ...rest,
    cniVersion: version,
    ...(interfaces !== undefined && { interfaces: readInterfaces(interfaces, version) }),
    ...(legacy && { routes: [...routesOf(ip4), ...routesOf(ip6)] }),
    ips: legacy
      ? [...fromLegacy(ip4, version), ...fromLegacy(ip6, version)]
      : readList(ips, "ips").map((ip) => readIp(ip, version)),
  };
}

/**
 * The addresses that a container got on an interface: without prefix length, IPv4 first, otherwise in the
 * result's order. Addresses of the host's side are left out, unless there are no others.
 */
export function addressesOf(result: JsonObject, ifName: string): string[] {
  const ips = readList(result["ips"], "ips").filter(isObject);
  const interfaces = readList(result["interfaces"], "interfaces");
  const own = ips.filter((ip) => {
    if (ip["interface"] === undefined || ip["interface"] === null) return true;
    const target = interfaces[Number(ip["interface"])];
    return isObject(target) && Boolean(target["sandbox"]) && target["name"] === ifName;
  });
  const addresses = (own.length > 0 ? own : ips).map((ip) => addressOf(ip["address"]));
  return [...new Set(addresses)].sort((a, b) => isIP(a) - isIP(b));
}

function readIp(ip: unknown, version: CniVersion): JsonObject {
  if (!isObject(ip)) throw senseless("an entry of its ips is not an object");
  const family = isIP(addressOf(ip["address"]));
  const { version: _version, ...rest } = ip;
  return atLeast(version, "1.0.0") ? rest : { version: String(family), ...rest };
}

function fromLegacy(config: unknown, version: CniVersion): JsonObject[] {
  if (config === undefined || config === null) return [];
  if (!isObject(config)) throw senseless("its ip4 or ip6 is not an object");
  const { ip, gateway } = config;
  return [readIp({ address: ip, ...(gateway !== undefined && { gateway }) }, version)];
}

function routesOf(config: unknown): readonly unknown[] {
  return isObject(config) ? readList(config["routes"], "routes") : [];
}

function readInterfaces(value: unknown, version: CniVersion): JsonObject[] {
  return readList(value, "interfaces").map((each) => {
    if (!isObject(each)) throw senseless("an entry of its interfaces is not an object");
    if (atLeast(version, "1.0.0")) return each;
    const { mtu: _mtu, socketPath: _socketPath, pciID: _pciId, ...rest } = each;
    return rest;
  });
}

/** Go writes an empty list as null. */
function readList(value: unknown, name: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw senseless(`its ${name} is not a list`);
  return value;
}

/** The address of "10.1.2.3/24". */
function addressOf(cidr: unknown): string {
  const [address = "", prefix, ...more] = typeof cidr === "string" ? cidr.split("/") : [];
  const family = isIP(address);
  const bits = prefix !== undefined && /^\d{1,3}$/.test(prefix) ? Number(prefix) : Infinity;
  if (family === 0 || more.length > 0 || bits > (family === 4 ? 32 : 128)) {
    const text = cidr === undefined ? "without a value" : excerpt(JSON.stringify(cidr), 80);
    throw senseless(`it holds the address ${text}`);
  }
  return address;
}

function senseless(message: string): ShimError {
  return new ShimError("internal", `the result is not valid: ${message}`, { operation: "network.result" });
}
