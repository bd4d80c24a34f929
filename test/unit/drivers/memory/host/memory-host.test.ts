import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { isKind } from "../../../../../src/base/index.js";
import { MemoryHost } from "../../../../../src/drivers/memory/index.js";
import type { ProcessTable } from "../../../../../src/drivers/memory/processes/process-table.js";
import { turns } from "../rig.js";

const code = (wanted: string) => (error: unknown) =>
  error instanceof Error && "code" in error && error.code === wanted && error.message.startsWith(wanted);

describe("the memory host's files", () => {
  let host: MemoryHost;
  beforeEach(() => {
    host = new MemoryHost();
  });

  it("are written whole, read, listed and removed", async () => {
    const { files } = host;
    await files.writeAtomic("/a/b/c.txt", "one", { mode: 0o640 });
    assert.equal((await files.read("/a/b/c.txt")).toString(), "one");
    assert.equal(host.tree.stat("/a/b/c.txt")?.mode, 0o640);
    assert.deepEqual(await files.list("/a/b"), ["c.txt"]);
    assert.deepEqual(await files.list("/missing"), []);
    await assert.rejects(files.list("/a/b/c.txt"), code("ENOTDIR"));
    await files.remove("/a/b/c.txt");
    await files.remove("/a/b/c.txt");
    assert.equal(await files.kindOf("/a/b/c.txt"), undefined);
    await assert.rejects(files.read("/a/b/c.txt"), code("ENOENT"));
    await assert.rejects(files.read("/a/b"), code("EISDIR"));
    await assert.rejects(files.read("relative"), code("EINVAL"));
    await files.makeDirectory("/a/d/e", { mode: 0o700 });
    assert.equal(await files.kindOf("/a/d/e"), "directory");
    await assert.rejects(files.remove("/a"), code("EISDIR"));
  });

  it("keep their inode when they are overwritten, and get a new one when they are replaced", async () => {
    const { files, tree } = host;
    await files.writeAtomic("/f", "one");
    const inode = tree.stat("/f")?.inode;
    await files.overwrite("/f", "two");
    assert.deepEqual([tree.stat("/f")?.inode, (await files.read("/f")).toString()], [inode, "two"]);
    await files.writeAtomic("/f", "three");
    assert.notEqual(tree.stat("/f")?.inode, inode);
    await assert.rejects(files.overwrite("/missing", "x"), code("ENOENT"));
  });

  it("can be reached through links, which have an end", async () => {
    const { files } = host;
    await files.writeAtomic("/real/dir/file", "text");
    host.tree.symlink("/real/dir", "/link");
    host.tree.symlink("dir/../dir/file", "/real/short");
    assert.equal((await files.read("/link/file")).toString(), "text");
    assert.equal((await files.read("/real/short")).toString(), "text");
    assert.equal(await files.kindOf("/link"), "link");
    assert.equal(await files.realPath("/link/../dir/./file"), "/real/dir/file");
    assert.equal(await files.realPath("/"), "/");
    assert.equal(await files.realPath("/var/run"), "/run");
    host.tree.symlink("/nowhere", "/link");
    await assert.rejects(files.realPath("/link"), code("ENOENT"));
    host.tree.symlink("/loop", "/loop");
    await assert.rejects(files.read("/loop"), code("ELOOP"));
    await files.remove("/link");
    assert.equal(
      (await files.read("/real/dir/file")).toString(),
      "text",
      "the link goes, not what it points at",
    );
  });

  it("notify the watchers of their folder", async () => {
    const { files, tree } = host;
    await files.makeDirectory("/watched/inner");
    let told = 0;
    const watch = await files.watch("/watched", () => told++);
    const after = async (work: () => unknown) => {
      told = 0;
      await work();
      await turns();
      return told;
    };
    assert.ok((await after(() => files.writeAtomic("/watched/a", "1"))) > 0);
    assert.ok((await after(() => files.overwrite("/watched/a", "2"))) > 0);
    assert.ok((await after(() => files.remove("/watched/a"))) > 0);
    assert.equal(await after(() => files.writeAtomic("/watched/inner/a", "1")), 0);
    assert.ok(
      (await after(() => {
        tree.removeAll("/watched");
      })) > 0,
    );
    await files.makeDirectory("/watched");
    assert.equal(await after(() => files.writeAtomic("/watched/b", "1")), 0, "the watched folder has gone");
    watch.close();
    watch.close();
    await assert.rejects(
      files.watch("/missing", () => undefined),
      code("ENOENT"),
    );
  });

  it("lie on file systems with a size", async () => {
    const { files } = host;
    files.mountPoints.add("/var/lib");
    const usage = { totalBytes: 10n, usedBytes: 9n, totalInodes: 8n, usedInodes: 7n };
    files.usages.set("/var/lib", usage);
    assert.equal(await files.mountPointOf("/var/lib"), "/var/lib");
    await files.makeDirectory("/var/lib/x");
    await files.makeDirectory("/var/library");
    assert.deepEqual(await files.usage("/var/lib/x"), usage);
    assert.equal(await files.mountPointOf("/var/library"), "/");
    assert.ok((await files.usage("/")).totalBytes > 0n);
    await assert.rejects(files.usage("/missing"), code("ENOENT"));
  });

  it("fail as configured", async () => {
    const { files, faults } = host;
    const off = faults.on("files.writeAtomic", { code: "ENOSPC", path: "/full" });
    await assert.rejects(files.writeAtomic("/full", "x"), code("ENOSPC"));
    assert.equal(await files.kindOf("/full"), undefined);
    await files.writeAtomic("/other", "x");
    off();
    await files.writeAtomic("/full", "x");
    faults.on("files.read", { code: "EIO", times: 1, delayMs: 5 });
    await assert.rejects(files.read("/full"), code("EIO"));
    assert.equal((await files.read("/full")).toString(), "x");
    faults.on("files.list", { code: "EACCES" });
    faults.clear();
    await files.list("/");
  });
});

describe("the memory host's processes", () => {
  it("run programs with their arguments, input and whole environment", async () => {
    const host = new MemoryHost();
    host.programs.set("/opt/cni/bin/tool", (io) => {
      io.stdout(`${io.args.join(" ")}|${JSON.stringify(io.env)}|${io.input.toString()}`);
      io.stderr("noted");
      return 3;
    });
    assert.deepEqual(await host.files.list("/opt/cni/bin"), ["tool"]);
    const command = {
      file: "/opt/cni/bin/tool",
      args: ["a", "b"],
      env: { X: "1" },
      input: "in",
      deadlineMs: 1000,
    };
    const result = await host.processes.run(command);
    assert.deepEqual(
      [result.exitCode, result.stdout.toString(), result.stderr.toString()],
      [3, 'a b|{"X":"1"}|in', "noted"],
    );
    host.programs.delete("/opt/cni/bin/tool");
    await assert.rejects(host.processes.run(command), (error) => isKind(error, "not-found"));
    assert.deepEqual(await host.files.list("/opt/cni/bin"), []);
  });

  it("kills the programs with a matching environment", async () => {
    const host = new MemoryHost();
    host.programs.set(
      "/opt/waits",
      ({ signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            resolve(0);
          });
        }),
    );
    const runs = ["one", "two"].map((NAME) =>
      host.processes.run({ file: "/opt/waits", args: [], env: { NAME }, deadlineMs: 200 }),
    );
    assert.equal(await host.processes.killWhere((environment) => environment.get("NAME") === "one"), 1);
    assert.equal((await runs[0])?.exitCode, 137);
    await assert.rejects(Promise.all(runs), { kind: "deadline-exceeded" });
    assert.equal(await host.processes.killWhere(() => true), 0);
  });

  it("kill a program at its deadline, by its signal, and when it prints too much", async () => {
    const host = new MemoryHost();
    const ended: string[] = [];
    host.programs.set("hang", async ({ signal }) => {
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve);
      });
      ended.push("hang");
      return 0;
    });
    host.programs.set("shout", ({ stdout }) => {
      stdout(Buffer.alloc(2000));
      return 0;
    });
    host.programs.set("throw", () => {
      throw new Error("oh");
    });
    const run = (file: string, more: object = {}) =>
      host.processes.run({ file, args: [], deadlineMs: 5000, ...more });
    await assert.rejects(run("hang", { deadlineMs: 10 }), (error) => isKind(error, "deadline-exceeded"));
    const abort = new AbortController();
    const cut = run("hang", { signal: abort.signal });
    await turns();
    assert.equal(host.processTable.size, 1);
    abort.abort();
    await assert.rejects(cut, (error) => isKind(error, "cancelled"));
    await turns();
    assert.deepEqual(ended, ["hang", "hang"]);
    await assert.rejects(run("shout", { maxOutputBytes: 1000 }), (error) =>
      isKind(error, "resource-exhausted"),
    );
    const thrown = await run("throw");
    assert.deepEqual([thrown.exitCode, thrown.stderr.toString()], [1, "oh"]);
    assert.equal(host.processTable.size, 0);
  });

  it("live and die with their families, and show in /proc", async () => {
    const host = new MemoryHost();
    const table = host.processTable;
    const spawn = (name: string, parent?: ReturnType<ProcessTable["spawn"]>) =>
      table.spawn({ name, parent }, () => undefined);
    const root = spawn("root");
    const child = spawn("child", root);
    const grandchild = spawn("grandchild", child);
    const stranger = spawn("stranger");
    assert.equal(new Set([root.pid, child.pid, grandchild.pid, stranger.pid]).size, 4);
    assert.equal((await host.files.read(`/proc/${child.pid}/comm`)).toString(), "child\n");
    assert.equal(await host.files.kindOf(`/proc/${child.pid}/ns/net`), "other");
    assert.equal(await host.processes.killTree(child.pid), 2);
    assert.deepEqual(
      await Promise.all([root, child, grandchild, stranger].map(({ pid }) => host.processes.isAlive(pid))),
      [true, false, false, true],
    );
    assert.equal(await host.files.kindOf(`/proc/${child.pid}`), undefined);
    assert.equal(await host.processes.killTree(child.pid), 0);
    host.processes.oomScoreAdj = -999;
    assert.equal(await host.processes.ownOomScoreAdj(), -999);
  });

  it("stand on a kernel that can be chosen", async () => {
    const host = new MemoryHost({ kernelRelease: "5.10.0", cgroupVersion: 1 });
    assert.equal(host.kernel.release, "5.10.0");
    assert.equal(await host.kernel.cgroupVersion(), 1);
    assert.equal(await new MemoryHost().kernel.cgroupVersion(), 2);
  });
});
