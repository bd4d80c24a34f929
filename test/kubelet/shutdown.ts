import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  accepts,
  installPackages,
  logindProgram,
  waitUntil,
  type Lab,
  type Service,
} from "../docker/lab/index.js";
import type { KubeletConfig } from "./kubelet.js";
import { untilPod, type KubeletNode } from "./node.js";
import { container, isReady, manifest, statusOf, type Manifest } from "./pods.js";

/** A system bus of its own with a logind that does what the test asks for. */
export interface SystemBus {
  /** For DBUS_SYSTEM_BUS_ADDRESS. */
  readonly address: string;
  readonly logind: Service;
}

/** Starts a message bus, and on it as much of systemd-logind as a kubelet asks for. */
export async function startSystemBus(lab: Lab): Promise<SystemBus> {
  await installPackages("bus");
  const addressIn = (folder: string) => `unix:path=${join(folder, "bus")}`;
  const bus = await lab.service({
    name: "dbus-daemon",
    command: "dbus-daemon",
    args: (folder) => ["--session", "--nofork", "--nopidfile", `--address=${addressIn(folder)}`],
    ready: (folder) => accepts(join(folder, "bus")),
  });
  const address = addressIn(bus.folder);
  const logind = await lab.service({
    name: "logind",
    command: await logindProgram(),
    args: [],
    env: { DBUS_SYSTEM_BUS_ADDRESS: address },
    ready: async (own) => (await readFile(join(own, "logind.log"), "utf8")).includes("serving"),
  });
  return { address, logind };
}

const priorities = { low: 0, middle: 1_000, high: 2_000_000_000 };

/** Pods of a lower priority end first, and each group within its period, in seconds. */
export const shutdownConfig: KubeletConfig = {
  shutdownGracePeriodByPodPriority: Object.values(priorities).map((priority) => ({
    priority,
    shutdownGracePeriodSeconds: 6,
  })),
};

/** A pod that notes when it is asked to end, and that it has ended. @param ending What it does between the two. */
function noting(name: keyof typeof priorities, folder: string, ending: string): Manifest {
  const trap = `trap 'echo ${name} asked >> /host/shutdown; ${ending}; exit 0' TERM`;
  return manifest(name, {
    priority: priorities[name],
    terminationGracePeriodSeconds: 60,
    volumes: [{ name: "host", hostPath: { path: folder } }],
    containers: [
      container("main", `${trap}; while :; do sleep 86400 & wait $!; done`, {
        volumeMounts: [{ name: "host", mountPath: "/host" }],
      }),
    ],
  });
}

/** Shuts the node down: pods end in the order of their priorities, each group within its period. */
export async function assertShutsDown(node: KubeletNode, bus: SystemBus, folder: string): Promise<void> {
  const { kubelet, dockerd } = node;
  await kubelet.restart(shutdownConfig);
  const ended = (name: string) => `sleep 1; echo ${name} ended >> /host/shutdown`;
  await kubelet.add(noting("high", folder, ended("high")));
  await kubelet.add(noting("low", folder, ended("low")));
  // It does not end by itself: it is killed when the period of its group is over.
  await kubelet.add(noting("middle", folder, "sleep 86400"));
  for (const name of Object.keys(priorities)) await untilPod(kubelet, name, isReady);
  bus.logind.signal("SIGUSR1");
  const released = async () => (await readFile(bus.logind.logPath, "utf8")).includes("released");
  assert.ok(await waitUntil(released, 60_000, 200), "the kubelet holds its inhibitor");
  const notes = (await readFile(join(folder, "shutdown"), "utf8")).trim().split("\n");
  assert.deepEqual(notes, ["low asked", "low ended", "middle asked", "high asked", "high ended"]);
  // The pod that is killed may take a moment longer than its group's period.
  const running = async () => (await dockerd.docker(["ps", "-q"])).stdout;
  assert.ok(
    await waitUntil(async () => (await running()) === "", 10_000),
    "a container runs after the shutdown",
  );
  const middle = await untilPod(kubelet, "middle", ({ status }) => status.phase === "Failed");
  assert.equal(statusOf(middle)?.state.terminated?.exitCode, 137);
}
