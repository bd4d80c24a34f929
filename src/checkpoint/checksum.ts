import type { CheckpointedPortMapping } from "./checkpoint.js";

/**
 * cri-dockerd's checksum of a checkpoint: 32-bit FNV-1a over the text that its debug printer makes of the
 * data. Ours must be the same, or it would throw our files away when a node goes back to it.
 */
export function checkpointChecksum(data: {
  readonly portMappings: readonly CheckpointedPortMapping[];
  readonly hostNetwork: boolean;
}): number {
  const entries = data.portMappings.map(
    ({ protocol, containerPort, hostPort, hostIp = "" }) =>
      `<*>{Protocol:(*config.Protocol)${protocol} ContainerPort:(*int32)${containerPort} ` +
      `HostPort:(*int32)${hostPort} HostIP:(string)${hostIp}}`,
  );
  const list = entries.length === 0 ? "<nil>" : `[${entries.join(" ")}]`;
  return fnv1a(
    `(core.CheckpointData){PortMappings:([]*config.PortMapping)${list} HostNetwork:(bool)${data.hostNetwork}}`,
  );
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, "utf8")) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
