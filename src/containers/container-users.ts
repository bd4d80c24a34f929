import { create } from "@bufbuild/protobuf";
import { posix } from "node:path";
import { isEngineLocal, type ShimConfig } from "../config/index.js";
import { LinuxContainerUserSchema, type LinuxContainerUser } from "../gen/runtime/v1/api_pb.js";
import type { DockerContainer } from "../docker/index.js";
import type { Host } from "../host/index.js";
import type { WorkloadRecord } from "../inventory/index.js";

/** A container with thousands of mounts has a bundle of a megabyte. */
const maxConfigBytes = 16 * 1024 * 1024;

/**
 * The users and groups that the first processes of containers began with, also where an image's name or its groups decide.
 * Docker does not report them; they are in the configuration that it made for the OCI runtime.
 */
export class ContainerUsers {
  /** By container. A start that could not be read is known too, and not read again. */
  private readonly known = new Map<
    string,
    { readonly startedAt: bigint; readonly user?: LinuxContainerUser }
  >();

  constructor(
    private readonly host: Host,
    private readonly config: ShimConfig,
  ) {}

  /** The user, if it has been read. */
  of({ id, docker }: WorkloadRecord): LinuxContainerUser | undefined {
    const known = this.known.get(id);
    return known?.startedAt === startOf(docker) ? known.user : undefined;
  }

  /** Call it when the container is gone. */
  forget(id: string): void {
    this.known.delete(id);
  }

  /** Reads the user of a running container. Without success its status has what the request says. */
  async read({ id, docker }: WorkloadRecord): Promise<void> {
    const { running, pid = 0 } = docker.state;
    const startedAt = startOf(docker);
    if (!running || pid <= 0 || !isEngineLocal(this.config)) return;
    if (this.known.get(id)?.startedAt === startedAt) return;
    const user = await this.readBundle(id, pid).catch(() => undefined);
    this.known.set(id, { startedAt, ...(user ? { user } : {}) });
  }

  /** containerd's shim is the parent of the first process, and works in the folder of the container's bundle. */
  private async readBundle(id: string, pid: number): Promise<LinuxContainerUser | undefined> {
    const { files } = this.host;
    const stat = (await files.read(`/proc/${pid}/stat`)).toString("utf8");
    // A process chooses its name, which is in brackets: the parent is the second field after it.
    const [, parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const bundle = await files.readLink(`/proc/${parent}/cwd`);
    if (posix.basename(bundle) !== id) return undefined;
    const config = await files.read(posix.join(bundle, "config.json"), { maxBytes: maxConfigBytes });
    return parseUser(config.toString("utf8"));
  }
}

/** @see OCI runtime specification, config.json, process.user */
function parseUser(json: string): LinuxContainerUser | undefined {
  const { process } = JSON.parse(json) as { process?: { user?: Record<string, unknown> } };
  const { uid, gid, additionalGids = [] } = process?.user ?? {};
  if (!isId(uid) || !isId(gid) || !Array.isArray(additionalGids) || !additionalGids.every(isId))
    return undefined;
  const supplementalGroups = [...new Set([gid, ...additionalGids])].map(BigInt);
  return create(LinuxContainerUserSchema, { uid: BigInt(uid), gid: BigInt(gid), supplementalGroups });
}

function startOf({ state }: DockerContainer): bigint {
  return state.startedAtNanos ?? 0n;
}

function isId(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}
