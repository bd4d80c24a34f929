import { isKind, messageOf, type Logger } from "../base/index.js";
import type { Inventory } from "../inventory/index.js";
import type { Network } from "../network/index.js";
import { podToDetach } from "./network-pod.js";

export interface CheckNetworkOptions {
  readonly inventory: Inventory;
  readonly network: Network;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Asks the network whether pods that were connected before this process are still connected as they were made:
 * one after the other, for nobody waits. CRI has no place for the answer; one line in the log has it.
 * @see CNI SPEC, section 2, "CHECK"
 */
export async function checkNetwork(
  podIds: readonly string[],
  { inventory, network, log, signal }: CheckNetworkOptions,
): Promise<void> {
  const changed: { readonly id: string; readonly err: string }[] = [];
  const isConnected = (id: string) => network.cachedIps(id) !== undefined;
  for (const id of podIds.filter(isConnected)) {
    const record = inventory.record(id);
    if (record?.kind !== "sandbox") continue;
    const { netnsPath, ...pod } = podToDetach(id, record, undefined);
    if (netnsPath === undefined) continue;
    await network.holdNamespace(id, netnsPath);
    try {
      await network.check({ ...pod, netnsPath }, { signal });
    } catch (error) {
      if (signal.aborted) return;
      // Older configurations have no CHECK, and a pod may have been ended meanwhile.
      if (!isKind(error, "unsupported") && isConnected(id)) changed.push({ id, err: messageOf(error) });
    }
  }
  if (changed.length === 0) return;
  log.warn(
    { pods: changed.map(({ id }) => id), err: changed[0]?.err },
    "these pods are not connected as they were made, says the network: recreate those that cannot be reached",
  );
}
