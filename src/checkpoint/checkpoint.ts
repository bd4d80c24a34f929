import * as z from "zod";

export interface CheckpointedPortMapping {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIp?: string | undefined;
}

/** The state of a sandbox that labels cannot hold, or that is needed after its container is gone. */
export interface SandboxCheckpoint {
  readonly name: string;
  readonly namespace: string;
  /** Empty in a file that cri-dockerd wrote. */
  readonly uid: string;
  readonly hostNetwork: boolean;
  readonly portMappings: readonly CheckpointedPortMapping[];
  /** The pod is being created. After a crash, no caller knows such a pod. */
  readonly unfinished: boolean;
}

const port = z.number().int().min(0).max(65_535);

const fileSchema = z.object({
  name: z.string().default(""),
  namespace: z.string().default(""),
  uid: z.string().default(""),
  unfinished: z.boolean().catch(false),
  data: z
    .object({
      port_mappings: z
        .array(
          z.object({
            protocol: z.enum(["tcp", "udp", "sctp"]).catch("tcp"),
            container_port: port.default(0),
            host_port: port.default(0),
            host_ip: z.string().optional(),
          }),
        )
        .nullish(),
      host_network: z.boolean().nullish(),
    })
    .prefault({}),
});

/** Writes a checkpoint in cri-dockerd's format; `uid` and `unfinished` are ours; cri-dockerd ignores them. */
export function encodeCheckpoint(checkpoint: SandboxCheckpoint): string {
  const { name, namespace, uid, hostNetwork, portMappings, unfinished } = checkpoint;
  const mappings = portMappings.map(({ protocol, containerPort, hostPort, hostIp }) => ({
    protocol,
    container_port: containerPort,
    host_port: hostPort,
    ...(hostIp ? { host_ip: hostIp } : {}),
  }));
  const data = {
    ...(mappings.length > 0 ? { port_mappings: mappings } : {}),
    ...(hostNetwork ? { host_network: true } : {}),
  };
  const checksum = checkpointChecksum(checkpoint);
  const ours = { ...(uid === "" ? {} : { uid }), ...(unfinished ? { unfinished } : {}) };
  return JSON.stringify({ version: "v1", name, namespace, ...ours, data, checksum });
}

/**
 * Reads a checkpoint, ours or cri-dockerd's. A wrong checksum is ignored: kubelet's former dockershim computed another
 * one.
 * @returns Undefined when the text is not a checkpoint.
 */
export function decodeCheckpoint(text: string): SandboxCheckpoint | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const { name, namespace, uid, unfinished, data } = parsed.data;
  return {
    name,
    namespace,
    uid,
    unfinished,
    hostNetwork: data.host_network ?? false,
    portMappings: (data.port_mappings ?? []).map((mapping) => ({
      protocol: mapping.protocol,
      containerPort: mapping.container_port,
      hostPort: mapping.host_port,
      ...(mapping.host_ip ? { hostIp: mapping.host_ip } : {}),
    })),
  };
}

/**
 * cri-dockerd's checksum of a checkpoint: 32-bit FNV-1a over the text that its debug printer makes of the
 * data. Ours must be the same, or cri-dockerd would discard our files when a node changes back.
 */
function checkpointChecksum(data: {
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
