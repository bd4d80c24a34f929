import { lookup } from "node:dns/promises";
import { BlockList, isIPv6 } from "node:net";
import { messageOf, ShimError } from "../../base/index.js";

/** An address to listen on. */
export interface ListenAddress {
  readonly address: string;
  /** Whether only processes of this machine can reach it. */
  readonly loopback: boolean;
}

const loopbackRanges = new BlockList();
loopbackRanges.addSubnet("127.0.0.0", 8, "ipv4");
loopbackRanges.addAddress("::1", "ipv6");

/**
 * Looks a host up once. The server listens on exactly the address that was checked, even if the name changes later.
 * @throws ShimError "invalid-argument" for a name that cannot be resolved.
 */
export async function listenAddress(host: string): Promise<ListenAddress> {
  let found;
  try {
    found = await lookup(host);
  } catch (cause) {
    throw new ShimError(
      "invalid-argument",
      `cannot listen on host ${JSON.stringify(host)}: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
  return { address: found.address, loopback: isLoopback(found.address) };
}

/** True for an address that only processes of this machine can reach. */
export function isLoopback(address: string): boolean {
  return loopbackRanges.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
