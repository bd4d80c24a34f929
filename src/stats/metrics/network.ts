import type { InterfaceUsage } from "../usage.js";
import { counter, type MetricDefinition } from "./definition.js";
import type { NetworkSource } from "./source.js";

function ofInterfaces(figure: Exclude<keyof InterfaceUsage, "name">) {
  return ({ interfaces }: NetworkSource) =>
    interfaces.map((usage) => ({ value: usage[figure], labels: [usage.name] }));
}

function metric(
  name: string,
  help: string,
  figure: Exclude<keyof InterfaceUsage, "name">,
): MetricDefinition<NetworkSource> {
  return { name, help, type: counter, labels: ["interface"], values: ofInterfaces(figure) };
}

export const networkMetrics: readonly MetricDefinition<NetworkSource>[] = [
  metric("container_network_receive_bytes_total", "Bytes received.", "receivedBytes"),
  metric("container_network_receive_packets_total", "Packets received.", "receivedPackets"),
  metric("container_network_receive_packets_dropped_total", "Packets dropped on receipt.", "receiveDropped"),
  metric("container_network_receive_errors_total", "Errors on receipt.", "receiveErrors"),
  metric("container_network_transmit_bytes_total", "Bytes sent.", "sentBytes"),
  metric("container_network_transmit_packets_total", "Packets sent.", "sentPackets"),
  metric("container_network_transmit_packets_dropped_total", "Packets dropped on sending.", "sendDropped"),
  metric("container_network_transmit_errors_total", "Errors on sending.", "sendErrors"),
];
