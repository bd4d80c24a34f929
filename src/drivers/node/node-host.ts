import type { Host } from "../../host/index.js";
import { NodeFiles } from "./files.js";
import { NodeKernel } from "./kernel.js";
import { NodeLogFiles } from "./log-files.js";
import { NodeNetwork } from "./network.js";
import { NodeNamespaces } from "./namespaces.js";
import { NodeProcesses } from "./processes.js";
import { NodeTrees } from "./trees.js";

/** The node that this process runs on, through Node's own modules and /proc. */
export class NodeHost implements Host {
  readonly files = new NodeFiles();
  readonly trees = new NodeTrees();
  readonly processes = new NodeProcesses();
  readonly kernel = new NodeKernel();
  readonly namespaces = new NodeNamespaces();
  readonly logFiles = new NodeLogFiles();
  readonly network = new NodeNetwork();
}
