import assert from "node:assert/strict";
import { container, forever, isReady, manifest } from "../kubelet/pods.js";
import { addressesOf } from "./services.js";
import type { Check } from "./checks.js";

const base64 = (value: string) => Buffer.from(value).toString("base64");

/** What a cluster puts into pods. */
export function volumes(check: Check): void {
  check("ConfigMap and Secret as volumes and environment, with their updates", async ({ kubectl }) => {
    const objects = (value: string) => [
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config" }, data: { key: value } },
      { apiVersion: "v1", kind: "Secret", metadata: { name: "secret" }, data: { key: base64(value) } },
    ];
    await kubectl.apply(...objects("first"));
    const env = [
      { name: "CONFIG", valueFrom: { configMapKeyRef: { name: "config", key: "key" } } },
      { name: "SECRET", valueFrom: { secretKeyRef: { name: "secret", key: "key" } } },
    ];
    const volumeMounts = [
      { name: "config", mountPath: "/config" },
      { name: "secret", mountPath: "/secret", readOnly: true },
    ];
    await kubectl.apply(
      manifest("mounts", {
        volumes: [
          { name: "config", configMap: { name: "config" } },
          { name: "secret", secret: { secretName: "secret", defaultMode: 0o400 } },
        ],
        containers: [container("main", forever, { env, volumeMounts })],
      }),
    );
    await kubectl.untilPod("mounts", isReady);
    const exec = async (script: string) => await kubectl.out("exec", "mounts", "--", "sh", "-c", script);
    assert.equal(await exec("echo $CONFIG $SECRET; stat -Lc %a /secret/key"), "first first\n400\n");
    const read = async () => await exec("cat /config/key /secret/key");
    assert.equal(await read(), "firstfirst");
    await kubectl.apply(...objects("second"));
    await kubectl.until("the files", read, (files) => files === "secondsecond");
  });

  check("A projected token for an audience, bound to its pod", async ({ kubectl }) => {
    const token = { path: "token", audience: "lab", expirationSeconds: 600 };
    const mount = { volumeMounts: [{ name: "token", mountPath: "/token" }] };
    await kubectl.apply(
      manifest("token", {
        volumes: [{ name: "token", projected: { sources: [{ serviceAccountToken: token }] } }],
        containers: [container("main", forever, mount)],
      }),
    );
    const pod = await kubectl.untilPod("token", isReady);
    const read = await kubectl.out("exec", "token", "--", "cat", "/token/token");
    const body = Buffer.from(read.split(".")[1] ?? "", "base64url").toString();
    const claims = JSON.parse(body) as {
      readonly aud: readonly string[];
      readonly "kubernetes.io": { readonly pod: { readonly uid: string } };
    };
    assert.deepEqual([claims.aud, claims["kubernetes.io"].pod.uid], [["lab"], pod.metadata.uid]);
  });

  check("Downward API: status.hostIP, addresses, limits, and labels that change", async (cluster) => {
    const { kubectl, address } = cluster;
    const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    const env = [
      field("HOST", "status.hostIP"),
      field("POD", "status.podIP"),
      field("PODS", "status.podIPs"),
      field("NODE", "spec.nodeName"),
      { name: "LIMIT", valueFrom: { resourceFieldRef: { resource: "limits.memory" } } },
    ];
    const items = [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }];
    await kubectl.apply(
      manifest("downward", {
        volumes: [{ name: "info", downwardAPI: { items } }],
        containers: [
          container("main", `echo $HOST $POD $PODS $NODE $LIMIT; ${forever}`, {
            env,
            resources: { limits: { memory: "32Mi" } },
            volumeMounts: [{ name: "info", mountPath: "/info" }],
          }),
        ],
      }),
    );
    const pod = await kubectl.untilPod("downward", isReady);
    const addresses = addressesOf(pod);
    assert.equal(addresses.length, 2, "one address of each family");
    const expected = [address, addresses[0], addresses.join(","), "node", 32 << 20];
    assert.equal(await kubectl.out("logs", "downward"), `${expected.join(" ")}\n`);
    await kubectl.out("label", "pod", "downward", "changed=yes");
    const read = async () => await kubectl.out("exec", "downward", "--", "cat", "/info/labels");
    await kubectl.until("the labels", read, (labels) => labels.includes('changed="yes"'));
  });

  check(
    "/etc/resolv.conf names the cluster's DNS, and the node's with dnsPolicy Default",
    async ({ kubectl }) => {
      const read = async (pod: string) => await kubectl.out("exec", pod, "--", "cat", "/etc/resolv.conf");
      assert.match(
        await read("shell"),
        /^nameserver 10\.221\.90\.10\n[^]*svc\.cluster\.local cluster\.local/,
      );
      await kubectl.apply(
        manifest("dns", { dnsPolicy: "Default", containers: [container("main", forever)] }),
      );
      await kubectl.untilPod("dns", isReady);
      assert.doesNotMatch(await read("dns"), /10\.221\.90\.10|cluster\.local/);
    },
  );
}
