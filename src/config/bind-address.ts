import { isIP } from "node:net";

/** An address to listen on; port 0 takes a free one. */
export interface BindAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port`, an IPv6 address in brackets; undefined for a text of another form. */
export function parseBindAddress(text: string): BindAddress | undefined {
  const [, v6, name, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65_535 || (v6 !== undefined && isIP(v6) !== 6)) return undefined;
  return { host, port };
}

/** The text that {@link parseBindAddress} reads. */
export function formatBindAddress({ host, port }: BindAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for an address that means all interfaces of the node. */
export function isWildcard(host: string): boolean {
  return /^(0+(\.0+){0,3}|[0:]+|::(ffff:)?0\.0\.0\.0)$/i.test(host);
}

/** True for an address that only this node reaches. */
export function isLoopback(host: string): boolean {
  return /^(127\.|::1$|localhost$)/.test(host);
}

/** True for a subnet such as `10.1.0.0/24` or `fd00::/64`. */
export function isSubnet(text: string): boolean {
  const [, address = "", bits] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const family = isIP(address);
  return family !== 0 && Number(bits) <= (family === 4 ? 32 : 128);
}
