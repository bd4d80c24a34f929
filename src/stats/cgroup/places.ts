import { folderOf, type CgroupMounts } from "./mounts.js";

/** Where one resource of a cgroup is accounted. */
export interface CgroupPlace {
  /** Which files to look for. */
  readonly version: 1 | 2;
  readonly folder: string;
}

/**
 * Where the cgroup of a container or a pod is found. On a hybrid node some resources are in hierarchies of v1 and others
 * in that of v2; a resource whose hierarchy is not mounted here has no place.
 */
export interface CgroupPlaces {
  /** The cgroup's path from the root of its hierarchy, such as `/kubepods/burstable/pod…/0f3c…`. */
  readonly path: string;
  readonly cpu?: CgroupPlace;
  /** CPU quotas: on v1 they may be in another hierarchy than the usage. */
  readonly quota?: CgroupPlace;
  readonly memory?: CgroupPlace;
  readonly io?: CgroupPlace;
  readonly pids?: CgroupPlace;
  /** The processes themselves. */
  readonly processes?: CgroupPlace;
  /** The folder in the hierarchy of v2, which alone has pressure figures. */
  readonly unified?: string;
}

/** The controllers of v1 that account a resource, the first that is mounted counts. */
const controllersOf = {
  cpu: ["cpuacct"],
  quota: ["cpu"],
  memory: ["memory"],
  io: ["blkio"],
  pids: ["pids"],
  processes: ["cpuacct", "memory", "pids"],
} as const;

const unifiedHierarchy = "";

/**
 * Finds the cgroup of a container by one of its processes.
 * @param text Of /proc/PID/cgroup.
 * @param id The container's id, which is part of its cgroup's name. It is looked for so that a process in a cgroup below
 *   that of its container, as an init system in a container has it, stands for the whole container; and so that another
 *   process that has taken over the pid stands for none.
 * @returns Undefined when the process does not belong to the container, or its cgroup cannot be seen here.
 * @see cgroups(7), /proc/PID/cgroup
 */
export function placesOf(text: string, id: string, mounts: CgroupMounts): CgroupPlaces | undefined {
  return atPaths(containerPaths(text, id), mounts);
}

/** Where the parent of a cgroup is found, which for a pod's sandbox is the pod's own. Parameters as of {@link placesOf}. */
export function parentPlacesOf(text: string, id: string, mounts: CgroupMounts): CgroupPlaces | undefined {
  const parents = [...containerPaths(text, id)].map(([name, path]) => [name, parentOf(path)] as const);
  return atPaths(new Map(parents), mounts);
}

/** The container's cgroup by controller; that of v2 stands under an empty name. */
function containerPaths(text: string, id: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, ...rest] = line.split(":");
    // A cgroup's name may hold colons.
    const path = upTo(rest.join(":"), id);
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(",")) paths.set(controller, path);
  }
  return paths;
}

/** The path up to the first part that names the container: a container may name cgroups of its own below as it likes. */
function upTo(path: string, id: string): string | undefined {
  const at = path.indexOf(id);
  if (at === -1) return undefined;
  const end = path.indexOf("/", at);
  return end === -1 ? path : path.slice(0, end);
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function atPaths(paths: ReadonlyMap<string, string>, mounts: CgroupMounts): CgroupPlaces | undefined {
  const unifiedPath = paths.get(unifiedHierarchy);
  const unified = unifiedPath === undefined ? undefined : folderOf(mounts.unified, unifiedPath);
  const found = Object.entries(controllersOf).flatMap(([resource, controllers]) => {
    const mounted = controllers.find((controller) => mounts.controllers.has(controller));
    const place = mounted === undefined ? placeOf(2, unified) : placeOf(1, folderAt(mounted));
    return place === undefined ? [] : [[resource, place] as const];
  });
  function folderAt(controller: string): string | undefined {
    const path = paths.get(controller);
    return path === undefined ? undefined : folderOf(mounts.controllers.get(controller) ?? [], path);
  }
  if (found.length === 0) return undefined;
  const path = paths.get("cpuacct") ?? paths.get("memory") ?? unifiedPath ?? "";
  return { path, ...(unified === undefined ? {} : { unified }), ...Object.fromEntries(found) };
}

function placeOf(version: 1 | 2, folder: string | undefined): CgroupPlace | undefined {
  return folder === undefined ? undefined : { version, folder };
}
