import { after, before, describe } from "node:test";
import { openLab, releaseVersion } from "../docker/lab/index.js";
import { Results } from "../support/results.js";
import type { Check } from "./checks.js";
import { openCluster, type Cluster } from "./cluster.js";
import { containers } from "./containers.js";
import { metrics } from "./metrics.js";
import { node } from "./node.js";
import { services } from "./services.js";
import { streams } from "./streams.js";
import { volumes } from "./volumes.js";
import { workloads } from "./workloads.js";

const results = new Results("cluster");
const it = results.column(`kubelet ${releaseVersion("1.36")}`);

const lab = openLab();
after(async () => {
  await lab.close();
});

describe("a cluster on one node", { timeout: 3_000_000 }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await openCluster(lab);
  });

  const check: Check = (title, work) => {
    it(title, () => work(cluster));
  };
  streams(check);
  workloads(check);
  services(check);
  volumes(check);
  containers(check, lab);
  metrics(check, lab);
  node(check);
  results.notRun("Names of the cluster's DNS", "CoreDNS is not part of the Kubernetes module");
  results.notRun("A PersistentVolume of a CSI driver", "no driver image is available here");
});
