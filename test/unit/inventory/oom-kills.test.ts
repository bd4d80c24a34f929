import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { nowNanos } from "../../../src/base/index.js";
import type { DockerContainer } from "../../../src/docker/index.js";
import { MemoryHost } from "../../../src/drivers/memory/index.js";
import { OomKills } from "../../../src/inventory/oom-kills.js";
import { eventually, makeContainer, makeSandbox, openInventory } from "./lab.js";

const second = 1_000_000_000n;
const id = "0123456789abcdef".repeat(4);
const other = "f".repeat(64);

/** A container as Docker tells that it has ended, by SIGKILL and not for want of memory if it is not said otherwise. */
function ended(state: Partial<DockerContainer["state"]> = {}): DockerContainer {
  const byKill = { running: false, paused: false, oomKilled: false, dead: false, exitCode: 137 };
  return {
    id,
    name: "c",
    state: { status: "exited", startedAtNanos: 100n * second, ...byKill, ...state },
    config: {},
    host: {},
    mounts: [],
    networks: [],
    execIds: [],
  };
}

function openKills() {
  const host = new MemoryHost();
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
  const kills = new OomKills(host.kernel, log);
  const saysKilled = async (docker: DockerContainer) => (await kills.correct(docker)).state.oomKilled;
  return { host, kills, lines, saysKilled };
}

describe("the kernel's word on a container", () => {
  const cgroups = [
    `/docker/${id}`,
    `/kubepods/burstable/pod12ab/${id}`,
    `/kubepods.slice/kubepods-pod12ab.slice/docker-${id}.scope`,
    `/docker/${id}/init`,
    `/docker/${other}/docker/${id}`,
  ];
  for (const cgroup of cgroups) {
    it(`is found in ${cgroup.replaceAll(id, "ID").replaceAll(other, "OTHER")}`, async () => {
      const { host, kills, saysKilled } = openKills();
      host.oomKills.push({ cgroup, latestNanos: 101n * second });
      kills.start();
      assert.equal(await saysKilled(ended()), true);
      // It is remembered: whoever asks again gets the same answer.
      assert.equal(await saysKilled(ended()), true);
      await kills.close();
    });
  }

  const without: readonly (readonly [what: string, docker: DockerContainer, cgroup: string])[] = [
    ["it did not end by SIGKILL", ended({ exitCode: 1 }), `/docker/${id}`],
    ["it has been started again since", ended({ startedAtNanos: 200n * second }), `/docker/${id}`],
    ["it runs", ended({ running: true }), `/docker/${id}`],
    ["another was killed", ended(), `/docker/${other}`],
    ["it is an inner container's", ended(), `/docker/${id}/docker/${other}`],
    ["it is of no container", ended(), "/user.slice"],
    ["its id is but a part of a name", ended(), `/docker/${id}0`],
  ];
  for (const [what, docker, cgroup] of without) {
    it(`changes nothing when ${what}`, async () => {
      const { host, kills, saysKilled } = openKills();
      host.oomKills.push({ cgroup, latestNanos: 101n * second });
      kills.start();
      assert.equal(await saysKilled(docker), false);
      await kills.close();
    });
  }

  it("is skipped when the kernel's log cannot be read, with one warning", async () => {
    for (const method of ["kernel.openOomLog", "oomLog.read"]) {
      const { host, kills, lines, saysKilled } = openKills();
      host.faults.on(method, { code: "EPERM" });
      host.oomKills.push({ cgroup: `/docker/${id}`, latestNanos: 101n * second });
      kills.start();
      for (let time = 0; time < 3; time++) assert.equal(await saysKilled(ended()), false);
      assert.equal(lines.length, 1, method);
      assert.match(lines[0] ?? "", /cannot read the kernel's log/);
      await kills.close();
    }
  });

  it("is not kept forever", async () => {
    const { host, kills, saysKilled } = openKills();
    kills.start();
    host.oomKills.push({ cgroup: `/docker/${id}`, latestNanos: 101n * second });
    for (let index = 0; index < 5000; index++) {
      host.oomKills.push({ cgroup: `/docker/${index.toString(16).padStart(64, "0")}`, latestNanos: second });
    }
    assert.equal(await saysKilled(ended()), false);
    await kills.close();
  });
});

describe("the inventory", () => {
  it("shows a kill that Docker has missed as OOMKilled, in the record and in the step", async () => {
    await using lab = await openInventory();
    const { engine, inventory, steps } = lab;
    const pod = await makeSandbox(engine, "p");
    const containerId = await makeContainer(engine, "p", pod);
    await inventory.refresh(containerId);
    engine.host.oomKills.push({ cgroup: `/docker/${containerId}`, latestNanos: nowNanos() });
    engine.exit(containerId, 137);
    await eventually("it has stopped", () => steps.some(({ type }) => type === "stopped"));
    const stopped = steps.find(({ type }) => type === "stopped");
    assert.equal(stopped?.record.docker.state.oomKilled, true);
    assert.equal(inventory.workload(containerId).docker.state.oomKilled, true);
    const second = lab.second();
    second.start();
    await second.whenReady();
    assert.equal(second.workload(containerId).docker.state.oomKilled, true);
  });
});
