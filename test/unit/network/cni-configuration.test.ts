import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { FailingFiles, pod, PluginLab, resultWith, until } from "./plugin-lab.js";

const net = (name: string, overrides: object = {}) => ({
  cniVersion: "1.0.0",
  name,
  plugins: [{ type: "bridge" }],
  ...overrides,
});

async function labWithBridge(versions?: readonly string[]): Promise<PluginLab> {
  const lab = await PluginLab.open();
  await lab.plugin("bridge", { result: resultWith("10.1.0.5/16"), ...(versions && { versions }) });
  return lab;
}

describe("choosing the network", () => {
  it("uses the first valid file by name, and skips invalid ones", async () => {
    await using lab = await labWithBridge();
    await lab.conf("00-notes.txt", net("text"));
    await lab.conf("01-torn.conflist", '{"cniVersion":"1.0.0","name":"tor');
    await lab.conf("02-empty.conf", "");
    await lab.conf("03-list-as.conf", net("list"));
    await lab.conf("04-old.conf", { cniVersion: "0.2.0", name: "old", type: "bridge" });
    await lab.conf(
      "05-missing.conflist",
      net("missing", { plugins: [{ type: "bridge" }, { type: "calico" }] }),
    );
    await lab.conf("06-path.conflist", net("path", { plugins: [{ type: "../bin/bridge" }] }));
    await lab.conf("07-newer.conflist", net("newer", { cniVersion: "2.0.0" }));
    await mkdir(join(lab.confDir, "08-folder.conflist"));
    await promisify(execFile)("mkfifo", [join(lab.confDir, "09-pipe.conflist")]);
    await symlink("/none", join(lab.confDir, "10-dangling.conflist"));
    await writeFile(join(lab.folder, "elsewhere"), JSON.stringify(net("linked")));
    await symlink(join(lab.folder, "elsewhere"), join(lab.confDir, "11-linked.conflist"));
    await lab.conf("12-last.conflist", net("last"));
    const network = await lab.network();
    assert.deepEqual(network.status(), { ready: true, networkName: "linked" });
  });

  it("reports why each file cannot be used", async () => {
    await using lab = await labWithBridge();
    const wrong: Record<string, [unknown, RegExp]> = {
      "01.conflist": ["[]", /it is not a JSON object/],
      "02.conflist": [net("x", { name: undefined }), /"name" must be a string/],
      "03.conflist": [net("../x"), /"name" must be a string/],
      "04.conflist": [net("x", { plugins: [] }), /at least one plugin/],
      "05.conflist": [net("x", { plugins: "bridge" }), /at least one plugin/],
      "06.conflist": [net("x", { plugins: [{}] }), /has no "type"/],
      "07.conflist": [net("x", { plugins: [null] }), /must be an object/],
      "08.conflist": [net("x", { plugins: undefined }), /has no plugins, and there are none in/],
      "09.conflist": [
        net("x", { plugins: undefined, loadOnlyInlinedPlugins: true }),
        /the file has no plugins/,
      ],
      "10.conflist": [net("x", { cniVersion: 1 }), /"cniVersion" must be a string/],
      "11.conflist": [net("x", { cniVersions: "1.0.0" }), /"cniVersions" must be a list/],
      "12.conflist": [net("x", { cniVersion: undefined }), /no cniVersion, which means 0\.1\.0/],
      "13.conflist": [net("x", { cniVersion: "0.1.0" }), /is 0\.1\.0: this runner speaks 0\.3\.0 to 1\.1\.0/],
      "14.conflist": [net("x", { disableCheck: "maybe" }), /"disableCheck" must be true or false/],
      "15.conflist": [net("x", { plugins: [{ type: "bridge", capabilities: [] }] }), /must be an object/],
      "16.conf": [{ cniVersion: "1.0.0", name: "x", plugins: [] }, /must end in \.conflist/],
      "17.json": [{ cniVersion: "1.0.0", name: "x" }, /has no "type"/],
      "18.conflist": [
        net("x", { plugins: [{ type: "absent" }] }),
        /CNI plugin absent is not in .*install it/,
      ],
    };
    for (const [file, [content]] of Object.entries(wrong)) await lab.conf(file, content);
    const network = await lab.network();
    const { ready, reason, message = "", networkName } = network.status();
    assert.deepEqual([ready, reason, networkName], [false, "NetworkPluginNotReady", undefined]);
    assert.match(message, /^docker: network plugin is not ready: cni config uninitialized: /);
    const texts = new Map(
      message.split(/; (?=\d\d\.)|conf: (?=01)/).map((text) => [text.split(":")[0], text]),
    );
    for (const [file, [, pattern]] of Object.entries(wrong))
      assert.match(texts.get(file) ?? "", pattern, file);
    await assert.rejects(network.attach(pod(), {}), {
      kind: "unavailable",
      message:
        /failed to set up pod "web-0_shop" network: network plugin is not ready: cni config uninitialized/,
    });
  });

  it("takes a single plugin's file as a list of one", async () => {
    await using lab = await labWithBridge();
    await lab.conf("10.conf", { cniVersion: "0.3.1", name: "single", type: "bridge", bridge: "cni0" });
    const network = await lab.network();
    await network.attach(pod(), {});
    const call = (await lab.calls())[1];
    assert.deepEqual(call?.request, { cniVersion: "0.3.1", name: "single", type: "bridge", bridge: "cni0" });
  });

  it("adds plugins that stand in files of their own", async () => {
    await using lab = await labWithBridge();
    await lab.plugin("tuning", { result: resultWith("10.1.0.5/16") });
    await mkdir(join(lab.confDir, "podnet"));
    await lab.conf("podnet/20-tuning.conf", { type: "tuning", sysctl: {} });
    await lab.conf("podnet/10-bridge.conf", { type: "bridge", second: true });
    await lab.conf("podnet/30-not.json", { type: "absent" });
    await lab.conf("10.conflist", net("podnet", { cniVersion: "1.1.0" }));
    const network = await lab.network();
    await network.attach(pod(), {});
    assert.deepEqual(await lab.verbs(), [
      "ADD loopback",
      "STATUS bridge",
      "STATUS bridge",
      "STATUS tuning",
      "ADD bridge",
      "ADD bridge",
      "ADD tuning",
    ]);
    await rm(join(lab.confDir, "podnet"), { recursive: true });
    const after = await lab.network();
    await lab.calls();
    await after.detach(pod(), {});
    // The first network saw the folder change, too, and asked.
    const ended = (await lab.verbs()).filter((verb) => !verb.startsWith("STATUS"));
    assert.deepEqual(ended, ["DEL tuning", "DEL bridge", "DEL bridge", "DEL loopback"]);
    await mkdir(join(lab.confDir, "podnet"));
    await lab.conf("podnet/20-tuning.conf", { type: "tuning" });
    await lab.conf("10.conflist", net("podnet", { loadOnlyInlinedPlugins: true }));
    const inlined = await lab.network();
    await lab.calls();
    await inlined.attach(pod(), {});
    const added = (await lab.verbs()).filter((verb) => !verb.startsWith("STATUS"));
    assert.deepEqual(added, ["ADD loopback", "ADD bridge"]);
  });

  it("negotiates the version with the plugins", async () => {
    await using lab = await labWithBridge(["0.3.1", "0.4.0"]);
    await lab.conf("10.conflist", net("podnet", { cniVersions: ["0.3.1", "0.4.0", "1.1.0", "9.0.0"] }));
    const network = await lab.network();
    await network.attach(pod(), {});
    assert.equal((await lab.calls())[1]?.request["cniVersion"], "0.4.0");
    await lab.conf("10.conflist", net("podnet"));
    const refused = await lab.network();
    assert.match(
      refused.status().message ?? "",
      /asks for cniVersion 1\.0\.0, which is not what these plugins speak: bridge \(0\.3\.1, 0\.4\.0\): set a version/,
    );
  });

  it("speaks to loopback in whatever version it knows, and needs it", async () => {
    await using lab = await labWithBridge();
    await lab.plugin("loopback", { versions: ["0.1.0", "0.2.0"], result: { cniVersion: "0.2.0", dns: {} } });
    await lab.conf("10.conflist", net("podnet"));
    const network = await lab.network();
    await network.attach(pod(), {});
    assert.equal((await lab.calls())[0]?.request["cniVersion"], "0.2.0");
    await network.detach(pod(), {});
    await lab.removePlugin("loopback");
    const without = await lab.network();
    assert.match(without.status().message ?? "", /CNI plugin loopback is not in/);
  });

  it("treats a plugin from before VERSION as one of 0.1.0, and rejects one with an invalid answer", async () => {
    await using lab = await labWithBridge();
    await lab.conf("10.conflist", net("podnet"));
    await lab.fails("bridge", "VERSION", {
      cniVersion: "0.1.0",
      code: 4,
      msg: "unknown CNI_COMMAND: VERSION",
    });
    assert.match((await lab.network()).status().message ?? "", /bridge \(0\.1\.0\)/);
    await lab.prints("bridge", "VERSION", { supportedVersions: "all" });
    assert.match((await lab.network()).status().message ?? "", /VERSION .* is not valid/);
    await lab.does("bridge", "VERSION", "exit 2");
    assert.match((await lab.network()).status().message ?? "", /exited with code 2 .* printed nothing/);
  });

  it("detects that plugins were updated to the version of the configuration", async () => {
    await using lab = await labWithBridge(["0.4.0"]);
    await lab.conf("10.conflist", net("podnet"));
    const network = await lab.network({ intervalMs: 50 });
    assert.equal(network.status().ready, false);
    await lab.plugin("bridge");
    await until(() => network.status().ready);
  });

  it("asks plugins for their versions again only when the configuration has changed", async () => {
    await using lab = await labWithBridge();
    await lab.conf("10.conflist", net("podnet"));
    const network = await lab.network({ intervalMs: 20 });
    const asked = async () => (await lab.allCalls()).filter(({ verb }) => verb === "VERSION").length;
    assert.equal(await asked(), 2);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(await asked(), 0);
    await lab.conf("10.conflist", net("podnet", { plugins: [{ type: "bridge", mtu: 1400 }] }));
    await until(async () => (await asked()) > 0);
    await until(() => network.status().ready);
  });
});

describe("a configuration that is hostile", () => {
  it("is not read when it is large, a device or a pipe, behind a link too", async () => {
    await using lab = await labWithBridge();
    await lab.conf("01.conflist", "");
    await truncate(join(lab.confDir, "01.conflist"), 100 * 1024 * 1024);
    await symlink("/dev/zero", join(lab.confDir, "02.conflist"));
    await promisify(execFile)("mkfifo", [join(lab.folder, "pipe")]);
    await symlink(join(lab.folder, "pipe"), join(lab.confDir, "03.conflist"));
    const network = await lab.network();
    const { message = "" } = network.status();
    assert.match(message, /01\.conflist: EFBIG: it has 104857600 bytes, more than the 1048576 allowed/);
    assert.match(message, /02\.conflist: EINVAL: it is not a regular file.*03\.conflist: EINVAL/);
  });

  it("is refused when its plugins' own files are large together", async () => {
    await using lab = await labWithBridge();
    await mkdir(join(lab.confDir, "podnet"));
    for (const name of ["1", "2"])
      await lab.conf(`podnet/${name}.conf`, { type: "bridge", padding: "x".repeat(600 * 1024) });
    await lab.conf("10.conflist", net("podnet"));
    const network = await lab.network();
    assert.match(network.status().message ?? "", /its plugins take more than 1048576 bytes/);
  });
});

describe("too many open files for a moment", () => {
  for (const code of ["EMFILE", "ENFILE"]) {
    for (const [what, path] of [
      ["the folder", /conf$/],
      ["the first file", /10\.conflist$/],
    ] as const) {
      it(`(${code} at ${what}) leave the network what it was`, async () => {
        await using lab = await labWithBridge();
        await lab.conf("10.conflist", net("first"));
        await lab.conf("20.conflist", net("second"));
        const files = new FailingFiles();
        const network = await lab.network({ intervalMs: 20, files });
        files.fault = { code, path };
        await until(() => files.failures > 2);
        await network.attach(pod(), {});
        assert.deepEqual(network.status(), { ready: true, networkName: "first" });
        files.fault = undefined;
        await rm(join(lab.confDir, "10.conflist"));
        await until(() => network.status().networkName === "second");
      });
    }
  }

  it("at the start are reported, and the network is found once they have passed", async () => {
    await using lab = await labWithBridge();
    await lab.conf("10.conflist", net("first"));
    const files = new FailingFiles();
    files.fault = { code: "EMFILE", path: /conf/ };
    const network = await lab.network({ intervalMs: 20, files });
    assert.match(network.status().message ?? "", /EMFILE/);
    files.fault = undefined;
    await until(() => network.status().ready);
  });
});

describe("pod CIDRs", () => {
  const ranges = net("podnet", { plugins: [{ type: "bridge", capabilities: { ipRanges: true } }] });

  it("make the network ready that asks for them, and survive a restart", async () => {
    await using lab = await labWithBridge();
    await lab.conf("10.conflist", ranges);
    const network = await lab.network();
    const { ready, message = "" } = network.status();
    assert.equal(ready, false);
    assert.match(message, /cni config needs ipRanges but no PodCIDR set: plugin bridge asks/);
    await assert.rejects(network.attach(pod(), {}), { kind: "unavailable", message: /no PodCIDR set/ });
    await network.detach(pod(), {});
    await network.setPodCidr("");
    assert.equal(network.status().ready, false);
    await assert.rejects(network.setPodCidr("10.0.0.0/33"), { kind: "invalid-argument" });
    await assert.rejects(network.setPodCidr("10.0.0.0"), { kind: "invalid-argument" });
    await assert.rejects(network.setPodCidr("fd00::/129"), { kind: "invalid-argument" });
    await network.setPodCidr("10.244.1.0/24, fd00:1::/64");
    assert.equal(network.status().ready, true);
    const again = await lab.network();
    assert.equal(again.status().ready, true);
    await lab.calls();
    await again.attach(pod(), {});
    assert.deepEqual((await lab.calls())[1]?.request["runtimeConfig"], {
      ipRanges: [[{ subnet: "10.244.1.0/24" }], [{ subnet: "fd00:1::/64" }]],
    });
  });

  it("that were kept and are nonsense are passed over", async () => {
    await using lab = await labWithBridge();
    await lab.conf("10.conflist", ranges);
    await lab.network();
    await writeFile(join(lab.folder, "cache", "docker-cri-pod-cidr"), "\0\0");
    assert.equal((await lab.network()).status().ready, false);
  });
});

describe("the network's readiness", () => {
  it("follows the folder, as it comes, changes, goes and comes back", async () => {
    await using lab = await labWithBridge();
    await rm(lab.confDir, { recursive: true });
    const network = await lab.network({ intervalMs: 200 });
    const isReady = () => network.status().ready;
    assert.equal(isReady(), false);
    await mkdir(lab.confDir);
    await lab.conf("10.conflist", net("first"));
    await until(isReady);
    await lab.conf("05.conflist", net("second"));
    await until(() => network.status().networkName === "second");
    await lab.conf("05.conflist", "{");
    await until(() => network.status().networkName === "first");
    await rm(lab.confDir, { recursive: true });
    await until(() => !isReady());
    assert.equal(network.status().networkName, undefined);
    await mkdir(lab.confDir);
    await lab.conf("10.conflist", net("third"));
    await until(isReady);
    await rename(lab.confDir, `${lab.confDir}.old`);
    await until(() => !isReady());
  });

  it("is detected at once by the watch, without polling", async () => {
    await using lab = await labWithBridge();
    const network = await lab.network({ intervalMs: 3_600_000 });
    await lab.conf("10.conflist", net("first"));
    await until(() => network.status().ready);
    // The folder is replaced within one settling time.
    await rm(lab.confDir, { recursive: true });
    await mkdir(lab.confDir);
    await lab.conf("10.conflist", net("second"));
    await until(() => network.status().networkName === "second");
    await lab.conf("10.conflist", net("third"));
    await until(() => network.status().networkName === "third");
  });

  it("becomes false when a plugin is removed, and an attach finds a new one at once", async () => {
    await using lab = await labWithBridge();
    await lab.conf("10.conflist", net("podnet"));
    const network = await lab.network({ intervalMs: 50 });
    await lab.removePlugin("bridge");
    await until(() => !network.status().ready);
    await lab.plugin("bridge", { result: resultWith("10.1.0.5/16") });
    await network.attach(pod(), {});
    assert.equal(network.status().ready, true);
  });

  it("is what plugins of 1.1.0 answer to STATUS", async () => {
    await using lab = await labWithBridge();
    await lab.fails("bridge", "STATUS", {
      cniVersion: "1.1.0",
      code: 50,
      msg: "no addresses",
      details: "all used",
    });
    await lab.conf("10.conflist", net("podnet", { cniVersion: "1.1.0" }));
    const network = await lab.network({ intervalMs: 50 });
    const { ready, message = "", networkName } = network.status();
    assert.deepEqual([ready, networkName], [false, "podnet"]);
    assert.match(
      message,
      /CNI plugin bridge, STATUS in network podnet failed with code 50: no addresses; details: all used\. The plugin is not available/,
    );
    const [status] = await lab.calls();
    assert.deepEqual(status?.request, { type: "bridge", name: "podnet", cniVersion: "1.1.0" });
    assert.equal(status.env["CNI_CONTAINERID"], undefined);
    // STATUS informs and forbids nothing.
    await network.attach(pod(), {});
    await lab.does("bridge", "STATUS", "exit 0");
    await until(() => network.status().ready);
    await lab.does("bridge", "STATUS", "exit 1");
    await until(() => !network.status().ready);
  });

  it("is not held up by a plugin that hangs in STATUS, nor is the end of the network", async () => {
    await using lab = await labWithBridge();
    await lab.does("bridge", "STATUS", "sleep 60");
    await lab.conf("10.conflist", net("podnet", { cniVersion: "1.1.0" }));
    const startMs = performance.now();
    const network = await lab.network({ timeoutMs: 1_500 });
    assert.match(network.status().message ?? "", /STATUS .* still running after 1500 ms/);
    assert.ok(performance.now() - startMs < 30_000);
    const hanging = lab.network({ timeoutMs: 60_000 });
    await until(async () => (await lab.verbs()).length > 0);
    await lab[Symbol.asyncDispose]();
    await hanging;
    assert.ok(performance.now() - startMs < 40_000);
  });
});
