import { after, before, describe } from "node:test";
import { openLab } from "../docker/lab/index.js";
import { Checks } from "./checks.js";
import { openCluster, type Cluster } from "./cluster.js";
import { containers } from "./containers.js";
import { metrics } from "./metrics.js";
import { node } from "./node.js";
import { services } from "./services.js";
import { streams } from "./streams.js";
import { writeTable, type Row } from "./table.js";
import { volumes } from "./volumes.js";
import { workloads } from "./workloads.js";

/** What a cluster can be asked for, and this one is not. */
const notRun: readonly Row[] = [
  ["Names of the cluster's DNS", "not run: CoreDNS is no part of Kubernetes' module"],
  ["A PersistentVolume of a CSI driver", "not run: no image of a driver can be had here"],
];

const lab = openLab();
after(async () => {
  await lab.close();
});

describe("a cluster on one node", { timeout: 3_000_000 }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await openCluster(lab);
  });

  const checks = new Checks(() => cluster);
  streams(checks.add);
  workloads(checks.add);
  services(checks.add);
  volumes(checks.add);
  containers(checks.add, lab);
  metrics(checks.add, lab);
  node(checks.add);

  after(async () => {
    const rows = checks.rows();
    if (rows !== undefined) await writeTable([...rows, ...notRun]);
  });
});
