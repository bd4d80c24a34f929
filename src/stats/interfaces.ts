import { numberOf } from "./cgroup/index.js";
import type { InterfaceUsage } from "./usage.js";

const loopback = "lo";
const columns = 16;

/**
 * The interfaces of a network namespace, without loopback.
 * @param text The content of /proc/PID/net/dev, which is for the namespace of the process.
 * @see proc_pid_net(5), `dev`
 */
export function parseInterfaces(text: string): InterfaceUsage[] {
  return text.split("\n").flatMap((line) => {
    const colon = line.lastIndexOf(":");
    const name = line.slice(0, colon).trim();
    const figures = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(numberOf);
    const isInterface = colon > 0 && figures.length >= columns && !figures.includes(undefined);
    if (!isInterface || name === loopback) return [];
    const at = (index: number) => figures[index] ?? 0n;
    return [
      {
        name,
        receivedBytes: at(0),
        receivedPackets: at(1),
        receiveErrors: at(2),
        receiveDropped: at(3),
        sentBytes: at(8),
        sentPackets: at(9),
        sendErrors: at(10),
        sendDropped: at(11),
      },
    ];
  });
}
