import { isIP, SocketAddress } from "node:net";
import { ShimError } from "../../base/index.js";
import type { HostFiles } from "../../host/index.js";
import { isObject, type JsonObject } from "./json.js";

/** A pod's ports on the node. */
interface Claim {
  readonly netns: string;
  readonly ports: readonly Port[];
}

interface Port {
  readonly port: number;
  readonly protocol: string;
  /** In its canonical form; the empty text is every address of both families. */
  readonly ip: string;
}

/**
 * The host ports of pods. Plugins do not check for existing rules: of two pods with the same port, the later one would
 * get no packets.
 */
export class HostPorts {
  private readonly claims = new Map<string, Claim>();

  constructor(private readonly files: HostFiles) {}

  /** Adds the ports of a pod that is already attached. */
  restore(podId: string, netns: string, capabilityArgs: JsonObject): void {
    const ports = portsOf(capabilityArgs);
    if (ports.length > 0) this.claims.set(podId, { netns, ports });
  }

  /**
   * Reserves a pod's ports until {@link HostPorts.release}. A pod without a namespace holds none.
   * @throws ShimError "conflict" that names the port and its holder.
   */
  async claim(podId: string, netns: string, capabilityArgs: JsonObject): Promise<void> {
    const ports = portsOf(capabilityArgs);
    if (ports.length === 0) return;
    for (const [holder, taken] of this.conflicts(podId, ports)) {
      if ((await this.files.kindOf(this.claims.get(holder)?.netns ?? "")) === undefined)
        this.claims.delete(holder);
      else throw conflict(taken, holder);
    }
    // Another pod may have reserved the port while the namespaces were checked.
    const [first] = this.conflicts(podId, ports);
    if (first) throw conflict(first[1], first[0]);
    this.claims.set(podId, { netns, ports });
  }

  release(podId: string): void {
    this.claims.delete(podId);
  }

  clear(): void {
    this.claims.clear();
  }

  private conflicts(podId: string, ports: readonly Port[]): (readonly [holder: string, taken: Port])[] {
    return [...this.claims].flatMap(([holder, claim]) => {
      const taken = claim.ports.find((theirs) => ports.some((ours) => overlap(theirs, ours)));
      return taken && holder !== podId ? [[holder, taken] as const] : [];
    });
  }
}

function overlap(a: Port, b: Port): boolean {
  return a.port === b.port && a.protocol === b.protocol && (covers(a.ip, b.ip) || covers(b.ip, a.ip));
}

function covers(ip: string, other: string): boolean {
  if (ip === "" || ip === other) return true;
  return (ip === "0.0.0.0" && isIP(other) === 4) || (ip === "::" && isIP(other) === 6);
}

function portsOf({ portMappings }: JsonObject): Port[] {
  const mappings = Array.isArray(portMappings) ? portMappings.filter(isObject) : [];
  return mappings.map(({ hostPort, protocol, hostIP }) => {
    const ip = typeof hostIP === "string" && isIP(hostIP) !== 0 ? hostIP : "";
    return { port: Number(hostPort), protocol: String(protocol), ip: canonical(ip) };
  });
}

function canonical(ip: string): string {
  return isIP(ip) === 6 ? new SocketAddress({ address: ip, family: "ipv6" }).address : ip;
}

function conflict({ port, protocol, ip }: Port, holder: string): ShimError {
  return new ShimError(
    "conflict",
    `host port ${port}/${protocol}${ip === "" ? "" : ` of ${ip}`} is taken by the pod with sandbox ${holder}: ` +
      "remove that pod, or use another host port or host IP",
    { operation: "network.attach" },
  );
}
