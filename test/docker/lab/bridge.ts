import { run } from "./command.js";
import { withLock } from "./lock.js";

/** A bridge of the lab, with room for a daemon's containers. */
export interface Bridge {
  readonly name: string;
  /** Address of the bridge itself, with the length of its prefix. */
  readonly address: string;
  /** Where the daemon may cut the networks that `docker network create` makes. */
  readonly networkPool: string;
}

/** A network interface and its IPv4 addresses. */
export interface LinkAddresses {
  readonly name: string;
  readonly addresses: readonly string[];
}

interface AddressEntry {
  readonly ifname?: string;
  readonly addr_info?: readonly { readonly local?: string }[];
}

/**
 * Makes a bridge with a subnet that no interface of this machine is in. Bridges of several processes
 * at the same time get different ones.
 * @throws CommandError when the kernel refuses; Error when no subnet is left.
 */
export async function createBridge(name: string): Promise<Bridge> {
  return await withLock("bridge", async () => {
    const used = (await addresses()).flatMap((each) => each.addresses);
    for (let subnet = 0; subnet < 250; subnet++) {
      const taken = used.some(
        (local) => local.startsWith(`10.213.${subnet}.`) || local.startsWith(`10.214.${subnet}.`),
      );
      if (taken) continue;
      const address = `10.213.${subnet}.1/24`;
      await run("ip", ["link", "add", name, "type", "bridge"]);
      await run("ip", ["address", "add", address, "dev", name]);
      await run("ip", ["link", "set", name, "up"]);
      return { name, address, networkPool: `10.214.${subnet}.0/24` };
    }
    throw new Error(
      "no subnet is left for a bridge in 10.213.0.0/16: remove the dcl… bridges of earlier runs",
    );
  });
}

/** The bridges of this machine. */
export async function bridges(): Promise<LinkAddresses[]> {
  return await addresses("type", "bridge");
}

async function addresses(...filter: readonly string[]): Promise<LinkAddresses[]> {
  const { stdout } = await run("ip", ["-json", "-4", "address", "show", ...filter]);
  return (JSON.parse(stdout) as AddressEntry[]).flatMap(({ ifname, addr_info = [] }) =>
    ifname === undefined
      ? []
      : [{ name: ifname, addresses: addr_info.flatMap(({ local }) => (local === undefined ? [] : [local])) }],
  );
}

/** Removes an interface; one that is gone is fine. */
export async function removeLink(name: string): Promise<void> {
  await run("ip", ["link", "delete", name], { allowFailure: true });
}
