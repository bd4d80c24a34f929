import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { NodeHost } from "../../../../src/drivers/node/index.js";
import { parseMountInfo } from "../../../../src/drivers/node/mounts.js";

const { files } = new NodeHost();

describe("the node's files", () => {
  let folder = "";

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "node-files-"));
  });
  after(() => rm(folder, { recursive: true }));

  it("writes a file whole, makes its folder, and leaves no temporary file", async () => {
    const path = join(folder, "a", "b", "file");
    await files.writeAtomic(path, "first");
    await files.writeAtomic(path, Buffer.from("second"), { mode: 0o640 });
    assert.equal((await files.read(path)).toString(), "second");
    assert.equal((await stat(path)).mode & 0o777, 0o640);
    assert.deepEqual(await readdir(join(folder, "a", "b")), ["file"]);
    assert.equal((await stat(join(folder, "a"))).mode & 0o777, 0o755);
  });

  it("refuses pipes, devices and folders without waiting", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    await symlink(pipe, join(folder, "to-pipe"));
    // Node has four threads for files: eight reads that wait would stop all other file work.
    const pipes = Array.from({ length: 8 }, (_, index) => (index % 2 ? pipe : join(folder, "to-pipe")));
    const refused = /not a regular file/;
    await Promise.all(
      pipes.map((path) => assert.rejects(files.read(path), { code: "EINVAL", message: refused })),
    );
    await assert.rejects(files.read("/dev/zero"), { code: "EINVAL", message: refused });
    await assert.rejects(files.read(folder), { code: "EISDIR" });
    await assert.rejects(files.overwrite(pipe, "x"), { code: "EINVAL" });
    assert.match(String(await files.read("/proc/self/status")), /^Name:/);
  });

  it("reads a file up to a limit", async () => {
    const path = join(folder, "large");
    await writeFile(path, "12345");
    assert.equal(String(await files.read(path, { maxBytes: 5 })), "12345");
    await assert.rejects(files.read(path, { maxBytes: 4 }), {
      code: "EFBIG",
      message: /has 5 bytes, more than the 4/,
    });
    await truncate(path, 5_000_000_000);
    await assert.rejects(files.read(path), { code: "EFBIG" });
    // A file of /proc shows no size.
    await assert.rejects(files.read("/proc/self/status", { maxBytes: 10 }), { code: "EFBIG" });
    await truncate(path, 20_000_000);
    assert.equal((await files.read(path, { maxBytes: 20_000_000 })).length, 20_000_000);
  });

  it("ends a read at its deadline, and does not occupy a second thread with a file that hangs", async () => {
    const path = join(folder, "slow");
    await writeFile(path, "");
    await truncate(path, 2_000_000_000);
    const slow = files.read(path, { maxBytes: 2_000_000_000, deadlineMs: 1 });
    await assert.rejects(slow, { kind: "deadline-exceeded", message: /slow: no answer within 1 ms/ });
    await assert.rejects(files.read(path), { kind: "unavailable", message: /earlier read has not returned/ });
    await truncate(path, 3);
    await until(async () => (await files.read(path).catch(() => "")).length === 3);
  });

  it("gives a file mode 0600 by default, whatever the umask", async () => {
    const before = process.umask(0o777);
    try {
      await files.writeAtomic(join(folder, "private"), "x");
      await files.makeDirectory(join(folder, "open"), { mode: 0o777 });
    } finally {
      process.umask(before);
    }
    assert.equal((await stat(join(folder, "private"))).mode & 0o777, 0o600);
    assert.equal((await stat(join(folder, "open"))).mode & 0o777, 0o777);
  });

  it("leaves the old content and no temporary file when a write fails", async () => {
    const path = join(folder, "taken");
    await mkdir(join(path, "full"), { recursive: true });
    await assert.rejects(files.writeAtomic(path, "x"), { code: "EISDIR" });
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });

  it("survives many writers of one file", async () => {
    const path = join(folder, "contended");
    const contents = Array.from({ length: 20 }, (_, index) => `${index}`.repeat(10_000));
    await Promise.all(contents.map((content) => files.writeAtomic(path, content)));
    assert.ok(contents.includes(await readFile(path, "utf8")));
  });

  it("overwrites in place, so that another name of the file sees it", async () => {
    const path = join(folder, "resolv.conf");
    await writeFile(path, "a much longer text than the next");
    await link(path, join(folder, "other-name"));
    await files.overwrite(path, "short");
    assert.equal(await readFile(join(folder, "other-name"), "utf8"), "short");
    await files.overwrite(path, "");
    assert.equal(await readFile(path, "utf8"), "");
    await assert.rejects(files.overwrite(join(folder, "none"), "x"), { code: "ENOENT" });
  });

  it("lists nothing where there is no folder, and removes what no longer exists", async () => {
    assert.deepEqual(await files.list(join(folder, "none")), []);
    await files.remove(join(folder, "none"));
    await files.remove(join(folder, "resolv.conf", "below-a-file"));
    await writeFile(join(folder, "gone"), "");
    await files.remove(join(folder, "gone"));
    assert.equal(await files.kindOf(join(folder, "gone")), undefined);
  });

  it("reports kinds without following links, and follows them for the real path", async () => {
    await symlink(join(folder, "a"), join(folder, "to-a"));
    assert.equal(await files.kindOf(join(folder, "to-a")), "link");
    assert.equal(await files.kindOf(join(folder, "a")), "directory");
    assert.equal(await files.kindOf(join(folder, "a", "b", "file")), "file");
    assert.equal(await files.kindOf("/dev/null"), "other");
    assert.equal(await files.kindOf(join(folder, "a", "b", "file", "below")), undefined);
    assert.equal(await files.realPath(join(folder, "to-a", "b")), join(folder, "a", "b"));
  });

  it("makes no fuss over a folder that exists", async () => {
    await chmod(join(folder, "a"), 0o700);
    await files.makeDirectory(join(folder, "a"), { mode: 0o755 });
    assert.equal((await stat(join(folder, "a"))).mode & 0o777, 0o700);
  });

  it("reports how full a file system is", async () => {
    const usage = await files.usage(folder);
    assert.ok(usage.totalBytes > usage.usedBytes && usage.usedBytes > 0n);
    assert.ok(usage.totalInodes >= usage.usedInodes);
    await assert.rejects(files.usage(join(folder, "none")), { code: "ENOENT" });
  });

  it("reports the mount point of a path, through links", async () => {
    await symlink("/proc/self/status", join(folder, "to-proc"));
    assert.equal(await files.mountPointOf("/proc/1/status"), "/proc");
    assert.equal(await files.mountPointOf(join(folder, "to-proc")), "/proc");
    assert.ok(folder.startsWith(await files.mountPointOf(folder)));
    await assert.rejects(files.mountPointOf(join(folder, "none")), { code: "ENOENT" });
  });

  it("reads the kernel's escapes in mount points", () => {
    const mounts = parseMountInfo(
      "36 35 98:0 / /mnt/a\\040b\\134c\\011\\012 rw - ext4 /dev/root rw\n37 35 0:5 / /proc rw - proc proc rw\n",
    );
    assert.equal(mounts.get("36"), "/mnt/a b\\c\t\n");
    assert.equal(mounts.get("37"), "/proc");
    assert.equal(mounts.size, 2);
  });

  it("reports changes in a folder, and of its end", async () => {
    const watched = join(folder, "watched");
    await mkdir(watched);
    let calls = 0;
    const watch = await files.watch(watched, () => calls++);
    try {
      await writeFile(join(watched, "new"), "x");
      await until(() => calls > 0);
      await delay(50);
      const before = calls;
      await rm(watched, { recursive: true });
      await until(() => calls > before);
    } finally {
      watch.close();
      watch.close();
    }
    await assert.rejects(
      files.watch(watched, () => undefined),
      { code: "ENOENT" },
    );
  });

  it("is silent once a watch is closed", async () => {
    const watched = join(folder, "unwatched");
    await mkdir(watched);
    let calls = 0;
    const watch = await files.watch(watched, () => calls++);
    watch.close();
    await writeFile(join(watched, "new"), "x");
    await delay(100);
    assert.equal(calls, 0);
  });
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, "it did not happen within twenty seconds");
    await delay(10);
  }
}
