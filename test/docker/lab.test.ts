import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import {
  basicImageNames,
  crictl,
  freePort,
  imageSet,
  openLab,
  run,
  withLab,
  type Dockerd,
} from "./lab/index.js";
import { bridges } from "./lab/bridge.js";
import { countProcesses } from "./lab/tidy.js";
import { mountsBelow } from "./lab/mounts.js";

describe("the lab", () => {
  it("starts an engine, runs a container in it, and leaves nothing behind", async () => {
    let dockerd: Dockerd | undefined;
    await withLab(async (lab) => {
      dockerd = await lab.dockerd({ name: "selftest" });
      const { stdout } = await dockerd.docker(["run", "--rm", "busybox:1.36", "echo", "hello"]);
      assert.equal(stdout, "hello\n");
      // This one is still running when the lab closes.
      await dockerd.docker(["run", "--detach", "registry.k8s.io/pause:3.10"]);
      await dockerd.docker(["network", "create", "made-by-hand"]);
      assert.ok((await dockerd.cpuSeconds()) > 0);
      assert.ok((await dockerd.rssBytes()) > 10_000_000);
    });
    assert.ok(dockerd !== undefined);
    await assertGone(dockerd);
  });

  it("lets an engine be frozen, killed and restarted, with its containers running on", async () => {
    await using lab = openLab();
    const dockerd = await lab.dockerd({ name: "selftest" });
    const { stdout: id } = await dockerd.docker(["run", "--detach", "registry.k8s.io/pause:3.10"]);
    dockerd.pause();
    await assert.rejects(dockerd.docker(["ps"], { timeoutMs: 500 }), /took too long/);
    dockerd.resume();
    await dockerd.restart({ keepContainers: true });
    assert.equal(await state(dockerd, id), "running");
    await dockerd.kill();
    assert.equal(dockerd.pid, 0);
    await dockerd.start();
    assert.equal(await state(dockerd, id), "running");
    await dockerd.restart();
    assert.equal(await state(dockerd, id), "exited");
    await dockerd.kill();
    await lab.close();
    await assertGone(dockerd);
  });

  it("serves images from a registry that requires a password", async () => {
    await using lab = openLab();
    const dockerd = await lab.dockerd({ name: "selftest", images: false });
    const registry = await lab.registry({ users: { someone: "secret" } });
    const image = (await imageSet("basic")).images[0]!;
    const digest = await registry.push(image);
    const name = registry.nameOf(basicImageNames.busybox);
    await assert.rejects(dockerd.docker(["pull", "--quiet", name]), /no basic auth credentials/);
    await dockerd.docker(["login", "--username", "someone", "--password", "secret", registry.address]);
    await dockerd.docker(["pull", "--quiet", name]);
    const { stdout } = await dockerd.docker([
      "inspect",
      "--format",
      "{{.Id}} {{index .RepoDigests 0}}",
      name,
    ]);
    assert.equal(stdout.trim(), `${image.id} ${name.replace(/:[^:]*$/, "")}@${digest}`);
  });

  it("takes its lines out of /etc/hosts again", async () => {
    const before = await readFile("/etc/hosts", "utf8");
    await withLab(async (lab) => {
      await lab.registry({ port: await freePort(), hosts: ["registry.invalid"] });
      assert.match(await readFile("/etc/hosts", "utf8"), /^127\.0\.0\.1 registry\.invalid/m);
    });
    assert.equal(await readFile("/etc/hosts", "utf8"), before);
  });

  it("has crictl", async () => {
    const { stdout } = await run(await crictl(), ["--version"]);
    assert.match(stdout, /crictl version/);
  });
});

async function state(dockerd: Dockerd, id: string): Promise<string> {
  const { stdout } = await dockerd.docker(["inspect", "--format", "{{.State.Status}}", id.trim()]);
  return stdout.trim();
}

async function assertGone(dockerd: Dockerd): Promise<void> {
  assert.equal(await countProcesses(dockerd.folder), 0, "no process is left");
  assert.deepEqual(await mountsBelow(dockerd.folder), [], "no mount is left");
  const pool = dockerd.bridge.networkPool.replace("0/24", "");
  const left = (await bridges()).filter(
    ({ name, addresses }) =>
      name === dockerd.bridge.name || addresses.some((address) => address.startsWith(pool)),
  );
  assert.deepEqual(left, [], "no bridge is left");
  const rules = await run("iptables-save");
  assert.ok(!rules.stdout.includes(dockerd.bridge.name), "no firewall rule is left");
}
