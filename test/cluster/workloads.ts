import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { container, forever, image, statusOf, type Pod } from "../kubelet/pods.js";
import type { Check } from "./checks.js";
import type { Kubectl } from "./kubectl.js";

const nextImage = "busybox:next";
const labels = (app: string) => ({ app });

/** The fields that each kind of a workload has for its pods. */
export function workload(name: string, spec: object): object {
  return {
    selector: { matchLabels: labels(name) },
    template: { metadata: { labels: labels(name) }, spec: { terminationGracePeriodSeconds: 1, ...spec } },
  };
}

export function deployment(name: string, replicas: number, spec: object): object {
  const metadata = { name };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { replicas, ...workload(name, spec) } };
}

/** The pods that the controllers of a cluster make. */
export function workloads(check: Check): void {
  check("Deployment: rollout of another image, its status, and undo", async ({ kubectl, dockerd }) => {
    await dockerd.docker(["tag", image, nextImage]);
    await kubectl.apply(deployment("web", 3, { containers: [container("main", forever)] }));
    const rolledOut = async (wanted: string) => {
      await kubectl.out("rollout", "status", "deployment/web", "--timeout=240s");
      const pods = await running(kubectl, "app=web");
      assert.deepEqual(pods.map(imageOf), [wanted, wanted, wanted]);
    };
    await rolledOut(image);
    await kubectl.out("set", "image", "deployment/web", `main=${nextImage}`);
    await rolledOut(nextImage);
    await kubectl.out("rollout", "undo", "deployment/web");
    await rolledOut(image);
  });

  check("Job: three completions, two at a time; a retry after a failure", async ({ kubectl }) => {
    const job = (name: string, script: string, more: object) => ({
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name },
      spec: {
        ...more,
        template: { spec: { restartPolicy: "Never", containers: [container("main", script)] } },
      },
    });
    await kubectl.apply(
      job("counts", "echo $JOB_COMPLETION_INDEX", {
        completions: 3,
        parallelism: 2,
        completionMode: "Indexed",
      }),
      job("fails", "exit 1", { backoffLimit: 1 }),
    );
    await kubectl.out("wait", "job/counts", "--for=condition=complete", "--timeout=240s");
    const logs = await kubectl.out("logs", "-l", "job-name=counts");
    assert.deepEqual(logs.trim().split("\n").sort(), ["0", "1", "2"]);
    await kubectl.out("wait", "job/fails", "--for=condition=failed", "--timeout=240s");
    assert.equal((await kubectl.pods("job-name=fails")).length, 2);
  });

  check("CronJob: a Job at the next minute", async ({ kubectl }) => {
    const template = { restartPolicy: "Never", containers: [container("main", "date")] };
    await kubectl.apply({
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata: { name: "minutes" },
      spec: { schedule: "* * * * *", jobTemplate: { spec: { template: { spec: template } } } },
    });
    interface CronJob {
      readonly status: { readonly lastSuccessfulTime?: string };
    }
    await kubectl.until(
      "the CronJob",
      async () => await kubectl.json<CronJob>("get", "cronjob", "minutes"),
      ({ status }) => status.lastSuccessfulTime !== undefined,
    );
    await kubectl.out("delete", "cronjob", "minutes");
  });

  check("DaemonSet: a pod on the host network of each node", async ({ kubectl, address }) => {
    const spec = workload("agent", { hostNetwork: true, containers: [container("main", forever)] });
    await kubectl.apply({ apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name: "agent" }, spec });
    await kubectl.out("rollout", "status", "daemonset/agent", "--timeout=240s");
    const addresses = (await running(kubectl, "app=agent")).map(({ status }) => status.podIP);
    assert.deepEqual(addresses, [address]);
  });

  check("StatefulSet: names and volumes outlive pods", async ({ kubectl, folder }) => {
    const path = join(folder, "volume");
    await mkdir(path, { recursive: true });
    const resources = { requests: { storage: "1Mi" } };
    const claim = { accessModes: ["ReadWriteOnce"], storageClassName: "lab", resources };
    const volume = { capacity: { storage: "1Mi" }, accessModes: ["ReadWriteOnce"], storageClassName: "lab" };
    const mount = { volumeMounts: [{ name: "data", mountPath: "/data" }] };
    const containers = [container("main", `hostname >> /data/names; ${forever}`, mount)];
    await kubectl.apply(
      {
        apiVersion: "v1",
        kind: "PersistentVolume",
        metadata: { name: "lab" },
        spec: { ...volume, hostPath: { path } },
      },
      {
        apiVersion: "apps/v1",
        kind: "StatefulSet",
        metadata: { name: "db" },
        spec: {
          serviceName: "db",
          ...workload("db", { containers }),
          volumeClaimTemplates: [{ metadata: { name: "data" }, spec: claim }],
        },
      },
    );
    await kubectl.out("rollout", "status", "statefulset/db", "--timeout=240s");
    const before = await kubectl.pod("db-0");
    await kubectl.out("delete", "pod", "db-0");
    const again = (pod: Pod) => pod.metadata.uid !== before.metadata.uid && statusOf(pod)?.ready === true;
    await kubectl.untilPod("db-0", again);
    assert.equal(await kubectl.out("exec", "db-0", "--", "cat", "/data/names"), "db-0\ndb-0\n");
  });
}

/** The pods of a label that are not about to end. */
export async function running(kubectl: Kubectl, selector: string): Promise<Pod[]> {
  const pods = (await kubectl.pods(selector)) as readonly (Pod & {
    metadata: { deletionTimestamp?: string };
  })[];
  return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

function imageOf(pod: Pod): string {
  return (pod as Pod & { spec: { containers: { image: string }[] } }).spec.containers[0]?.image ?? "";
}
