import { folderOf, type CgroupMounts } from "./mounts.js";

/** The folder of a cgroup that accounts one resource. */
export interface CgroupPlace {
  /** The cgroup version, which decides on the file names. */
  readonly version: 1 | 2;
  readonly folder: string;
}

/**
 * The cgroup folders of a container or a pod. On a hybrid node some resources are in hierarchies of v1 and others in v2;
 * a resource whose hierarchy is not mounted here has none.
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
  /** The processes. */
  readonly processes?: CgroupPlace;
  /** The folder in the hierarchy of v2, the only one with pressure values. */
  readonly unified?: string;
}

/** The controllers of v1 that account a resource; the first one that is mounted is used. */
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
 * @param text The content of /proc/PID/cgroup.
 * @param id The container's id, which is part of its cgroup's name. The search for it finds the container's cgroup also
 *   when the process is in a child cgroup, as with an init system in the container, and detects a reused pid.
 * @returns Undefined when the process does not belong to the container, or its cgroup is not visible here.
 * @see cgroups(7), /proc/PID/cgroup
 */
export function placesOf(text: string, id: string, mounts: CgroupMounts): CgroupPlaces | undefined {
  return atPaths(containerPaths(text, id), mounts);
}

/**
 * The parent of a cgroup; for a sandbox that is the pod's cgroup. Parameters as for {@link placesOf}.
 * @returns Undefined also when the parent is the root, which has all processes of the node.
 */
export function parentPlacesOf(text: string, id: string, mounts: CgroupMounts): CgroupPlaces | undefined {
  const parents = [...containerPaths(text, id)].map(([name, path]) => [name, parentOf(path)] as const);
  return atPaths(new Map(parents.filter(([, path]) => path !== "")), mounts);
}

/** The container's cgroup by controller; the controller of v2 is the empty text. */
function containerPaths(text: string, id: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, ...rest] = line.split(":");
    // A cgroup's name may contain colons.
    const path = upTo(rest.join(":"), id);
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(",")) paths.set(controller, path);
  }
  return paths;
}

/** The path up to the first part with the container's id: the names of its child cgroups are arbitrary. */
function upTo(path: string, id: string): string | undefined {
  const at = path.indexOf(id);
  if (at === -1) return undefined;
  const end = path.indexOf("/", at);
  return end === -1 ? path : path.slice(0, end);
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
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
