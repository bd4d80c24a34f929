import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { MemoryHost } from "../../../../src/drivers/memory/index.js";
import { NodeHost } from "../../../../src/drivers/node/index.js";
import type { HostLogFiles } from "../../../../src/host/index.js";

const mode = 0o640;

function hasCode(code: string) {
  return (error: unknown) =>
    error instanceof Error &&
    "code" in error &&
    error.code === code &&
    !error.message.includes("/proc/self/fd");
}

/** What both drivers of the port do. */
function suite(name: string, logFiles: HostLogFiles, folder: () => string): void {
  describe(name, () => {
    it("makes the file and its folders, appends, reads and cuts", async () => {
      const root = join(folder(), "pod");
      const path = join(root, "a/b/0.log");
      const file = await logFiles.openAppend(path, { root, mode });
      assert.equal(await file.append(Buffer.from("one two three")), 13);
      assert.equal((await file.read(4, 3)).toString(), "two");
      assert.equal((await file.read(8, 100)).toString(), "three");
      assert.equal((await file.read(100, 1)).length, 0);
      await file.truncate(3);
      await file.append(Buffer.from("!"));
      assert.equal((await file.read(0, 100)).toString(), "one!");
      const { identity, ...more } = await file.stat();
      assert.deepEqual(more, { sizeBytes: 4, linked: true });
      assert.equal(await logFiles.identityOf(path), identity);
      await file.close();
      await file.close();
      await assert.rejects(file.append(Buffer.from("late")));
      const again = await logFiles.openAppend(path, { root, mode });
      const version = await logFiles.versionOf(path);
      assert.equal(await logFiles.versionOf(path), version);
      await again.append(Buffer.from("?"));
      assert.notEqual(await logFiles.versionOf(path), version);
      assert.equal(await logFiles.versionOf(`${path}.none`), undefined);
      assert.equal((await again.read(0, 100)).toString(), "one!?");
      await again.close();
    });

    it("reports when a file stands in the place of the root, or of a folder above or below it", async () => {
      const root = join(folder(), "pod");
      const taken = join(root, "taken");
      await (await logFiles.openAppend(taken, { root, mode })).close();
      for (const [at, under] of [
        [join(taken, "0.log"), taken],
        [join(taken, "pod/0.log"), join(taken, "pod")],
        [join(taken, "app/0.log"), root],
      ] as const) {
        const refused = hasCode("ENOTDIR");
        await assert.rejects(logFiles.openAppend(at, { root: under, mode }), refused, at);
        await assert.rejects(logFiles.openExisting(at, { root: under }), refused, at);
        await assert.rejects(logFiles.makeLink("/x", at, { root: under }), refused, at);
        await logFiles.removeLink(at, { root: under });
      }
    });

    it("follows no link in the place of the root, and those above it", async () => {
      const above = join(folder(), "above");
      const elsewhere = join(folder(), "outside");
      const made = await logFiles.openAppend(join(elsewhere, "0.log"), { root: elsewhere, mode });
      await made.close();
      const root = join(above, "pod");
      await logFiles.makeLink(elsewhere, root, { root: above });
      for (const path of [join(root, "0.log"), join(root, "app/0.log")]) {
        await assert.rejects(logFiles.openAppend(path, { root, mode }), hasCode("ELOOP"), path);
        await assert.rejects(logFiles.openExisting(path, { root }), hasCode("ELOOP"), path);
      }
      assert.equal(await logFiles.openExisting(join(elsewhere, "app/0.log"), { root: elsewhere }), undefined);
      const below = join(root, "pod");
      await (await logFiles.openAppend(join(below, "0.log"), { root: below, mode })).close();
      assert.ok(await logFiles.identityOf(join(elsewhere, "pod/0.log")));
    });

    it("treats a path that is too long as missing, and creates nothing", async () => {
      const root = join(folder(), "pod");
      const path = join(root, "n".repeat(256), "0.log");
      await assert.rejects(logFiles.openAppend(path, { root, mode }), hasCode("ENAMETOOLONG"));
      await logFiles.removeLink(path, { root });
    });

    it("reports when a file or a folder above it is missing", async () => {
      const root = join(folder(), "pod");
      assert.equal(await logFiles.openExisting(join(root, "c/0.log"), { root }), undefined);
      assert.equal(await logFiles.openExisting(join(root, "a/b/1.log"), { root }), undefined);
      assert.equal(await logFiles.identityOf(join(root, "c/0.log")), undefined);
      const file = await logFiles.openExisting(join(root, "a/b/0.log"), { root });
      assert.equal((await file?.read(0, 3))?.toString(), "one");
      await file?.close();
    });
  });
}

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "log-files-"));
});
after(async () => {
  await rm(folder, { recursive: true });
});

const node = new NodeHost().logFiles;
suite("MemoryLogFiles", new MemoryHost().logFiles, () => "/tmp");
suite("NodeLogFiles", node, () => folder);

describe("NodeLogFiles", () => {
  it("gives a file its mode whatever the umask, and keeps that of an older one", async () => {
    const umask = process.umask(0o077);
    try {
      const path = join(folder, "mode.log");
      await (await node.openAppend(path, { root: folder, mode })).close();
      assert.equal((await stat(path)).mode & 0o777, mode);
      await (await node.openAppend(path, { root: folder, mode: 0o600 })).close();
      assert.equal((await stat(path)).mode & 0o777, mode);
    } finally {
      process.umask(umask);
    }
  });

  it("puts a link in the place of a file or of another link, and nothing behind a link", async () => {
    const root = join(folder, "linking");
    const elsewhere = join(folder, "untouched");
    await mkdir(join(root, "taken"), { recursive: true });
    await mkdir(elsewhere);
    await symlink(elsewhere, join(root, "away"));
    const path = join(root, "app/0.log");
    await mkdir(join(root, "app"));
    await writeFile(path, "a file");
    await node.makeLink("/first", path, { root });
    await node.makeLink("/second", path, { root });
    await node.makeLink("/third", join(root, "new/1.log"), { root });
    assert.equal(await readlink(path), "/second");
    assert.equal(await readlink(join(root, "new/1.log")), "/third");
    await assert.rejects(node.makeLink("/x", join(root, "taken"), { root }), hasCode("EISDIR"));
    await assert.rejects(node.makeLink("/x", join(root, "away/0.log"), { root }), hasCode("ELOOP"));
    assert.deepEqual((await readdir(root)).sort(), ["app", "away", "new", "taken"]);
    assert.deepEqual(await readdir(elsewhere), []);
  });

  it("removes a link in the place of the file, and nothing behind a link", async () => {
    const root = join(folder, "cleared");
    const elsewhere = join(folder, "kept");
    await mkdir(root);
    await mkdir(elsewhere);
    await symlink("nowhere", join(elsewhere, "0.log"));
    await symlink(elsewhere, join(root, "app"));
    await symlink(join(elsewhere, "0.log"), join(root, "0.log"));
    await writeFile(join(root, "1.log"), "");
    for (const name of ["0.log", "1.log", "2.log", "app/0.log", "none/0.log", "1.log/0.log"])
      await node.removeLink(join(root, name), { root });
    assert.deepEqual((await readdir(root)).sort(), ["1.log", "app"]);
    assert.deepEqual(await readdir(elsewhere), ["0.log"]);
  });

  it("follows a renamed file, and detects its removal", async () => {
    const path = join(folder, "moving.log");
    const file = await node.openAppend(path, { root: folder, mode });
    await rename(path, `${path}.1`);
    await file.append(Buffer.from("x"));
    assert.equal(await readFile(`${path}.1`, "utf8"), "x");
    assert.equal((await file.stat()).linked, true);
    await rm(`${path}.1`);
    assert.equal((await file.stat()).linked, false);
    await file.close();
  });

  it("follows no link below the root, in the place of a folder or of the file", async () => {
    const root = join(folder, "linked");
    const elsewhere = join(folder, "elsewhere");
    await mkdir(root);
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, "0.log"), "");
    await symlink(elsewhere, join(root, "app"));
    await symlink(join(elsewhere, "0.log"), join(root, "0.log"));
    await symlink(join(elsewhere, "made.log"), join(root, "dangling.log"));
    for (const name of ["app/0.log", "app/more/0.log", "0.log", "dangling.log"]) {
      const path = join(root, name);
      await assert.rejects(node.openAppend(path, { root, mode }), hasCode("ELOOP"), name);
      await assert.rejects(node.openExisting(path, { root }), hasCode("ELOOP"), name);
    }
    assert.deepEqual(await readdir(elsewhere), ["0.log"]);
  });

  it("closes a file once it is no longer in use", async () => {
    const path = join(folder, "busy", "0.log");
    const file = await node.openAppend(path, { root: folder, mode });
    const text = Buffer.from("x".repeat(1_000_000));
    const [taken, seen] = await Promise.all([file.append(text), file.stat(), file.close()]);
    assert.equal(taken, text.length);
    assert.equal(seen.linked, true);
    assert.equal((await stat(path)).size, text.length);
    await assert.rejects(file.stat(), hasCode("EBADF"));
  });

  it("writes to plain files with one name only", async () => {
    const root = join(folder, "special");
    await mkdir(join(root, "folder.log"), { recursive: true });
    execFileSync("mkfifo", [join(root, "pipe.log")]);
    await writeFile(join(folder, "secret"), "secret");
    await link(join(folder, "secret"), join(root, "hard.log"));
    const open = (name: string) => node.openAppend(join(root, name), { root, mode });
    await assert.rejects(open("pipe.log"), hasCode("EINVAL"));
    await assert.rejects(open("hard.log"), hasCode("EINVAL"));
    await assert.rejects(open("folder.log"), hasCode("EISDIR"));
    await writeFile(join(root, "file"), "");
    await assert.rejects(open("file/0.log"), hasCode("ENOTDIR"));
  });

  it("leaves no descriptor open when it refuses", async () => {
    const count = async () => (await readdir("/proc/self/fd")).length;
    const root = join(folder, "special");
    const open = (name: string) => node.openAppend(join(root, name), { root, mode }).catch(() => undefined);
    await open("hard.log");
    const before = await count();
    for (let n = 0; n < 20; n++) {
      for (const name of ["pipe.log", "hard.log", "folder.log", "file/0.log"]) await open(name);
    }
    assert.equal(await count(), before);
  });
});
