import type { Cluster } from "./cluster.js";

/** Registers a check of the cluster, whose title is its line in the table of docs/conformance.md. */
export type Check = (title: string, work: (cluster: Cluster) => Promise<void>) => void;
