import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pack, type Header } from "tar-stream";
import { NodeHost } from "../../../../src/drivers/node/index.js";

const { trees } = new NodeHost();
const mtime = new Date("2020-02-02T02:02:02Z");

/** An entry, and the text of a file. */
type Entry = Partial<Header> & { readonly name: string; readonly text?: string };

async function archiveOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { text, ...header } of entries) archive.entry({ mode: 0o644, mtime, ...header }, text ?? "");
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** The archive in pieces of odd sizes. */
async function* inPieces(archive: Buffer, bytes = 700): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < archive.length; start += bytes) {
    await Promise.resolve();
    yield archive.subarray(start, start + bytes);
  }
}

describe("the node's trees", () => {
  let folder = "";
  let made = 0;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "node-trees-"));
    await writeFile(join(folder, "outside"), "untouched");
  });
  after(() => rm(folder, { recursive: true }));

  /** Unpacks into a new folder of `trees`, which is alone there. */
  async function unpack(entries: readonly Entry[]): Promise<string> {
    const directory = join(folder, "trees", String(made++));
    await trees.unpack(inPieces(await archiveOf(entries)), directory);
    return directory;
  }

  it("makes files, folders and links with their modes, owners and times", async () => {
    const big = randomBytes(100_000).toString("hex");
    const root = await unpack([
      { name: "./", type: "directory", mode: 0o751 },
      { name: "bin/", type: "directory", mode: 0o555 },
      { name: "bin/tool", text: big, mode: 0o4755 },
      { name: "bin/same", type: "link", linkname: "bin/tool" },
      { name: "lib", type: "symlink", linkname: "/usr/lib" },
      { name: "implied/deep/file", text: "x" },
      { name: "empty", text: "" },
    ]);
    assert.equal(await readFile(join(root, "bin/tool"), "utf8"), big);
    const tool = await stat(join(root, "bin/tool"));
    assert.deepEqual([tool.mode & 0o7777, tool.nlink, tool.mtimeMs], [0o4755, 2, mtime.getTime()]);
    assert.equal(await readlink(join(root, "lib")), "/usr/lib");
    assert.equal((await lstat(join(root, "lib"))).mtimeMs, mtime.getTime());
    const modes = await Promise.all(["", "bin", "implied"].map((path) => stat(join(root, path))));
    assert.deepEqual(
      modes.map((each) => each.mode & 0o7777),
      [0o751, 0o555, 0o755],
    );
    assert.equal(modes[1]?.mtimeMs, mtime.getTime());
    assert.equal((await stat(join(root, "empty"))).size, 0);
    assert.equal((await stat(join(folder, "trees"))).mode & 0o777, 0o700);
  });

  it("sets owners, as root", { skip: process.getuid?.() !== 0 && "needs root" }, async () => {
    const root = await unpack([
      { name: "file", text: "x", uid: 1234, gid: 5678 },
      { name: "folder", type: "directory", mode: 0o700, uid: 7, gid: 8 },
      { name: "link", type: "symlink", linkname: "file", uid: 9, gid: 10 },
    ]);
    const owners = await Promise.all(["file", "folder", "link"].map((name) => lstat(join(root, name))));
    assert.deepEqual(
      owners.map(({ uid, gid }) => [uid, gid]),
      [
        [1234, 5678],
        [7, 8],
        [9, 10],
      ],
    );
  });

  it("skips devices, pipes and unwanted entries", async () => {
    const directory = join(folder, "trees", String(made++));
    const archive = await archiveOf([
      { name: "null", type: "character-device" },
      { name: "pipe", type: "fifo" },
      { name: "no", type: "directory" },
      { name: "no/wanted", text: "x" },
      { name: "no/other", text: "y" },
    ]);
    const seen: string[] = [];
    const leaveOut = ({ path, modifiedAt }: { path: string; modifiedAt: Date }) => {
      seen.push(path);
      assert.equal(modifiedAt.getTime(), mtime.getTime());
      return path === "no" || path === "no/other";
    };
    await trees.unpack(inPieces(archive), directory, { leaveOut });
    assert.deepEqual(seen, ["null", "pipe", "no", "no/wanted", "no/other"]);
    assert.deepEqual((await readdir(directory, { recursive: true })).sort(), ["no", "no/wanted"]);
  });

  const hostile: [what: string, entries: Entry[], error: RegExp | { code: string }][] = [
    ["a name that climbs", [{ name: "a/../../outside", text: "x" }], /would lie outside/],
    [
      "a file behind a link",
      [
        { name: "way", type: "symlink", linkname: ".." },
        { name: "way/outside", text: "x" },
      ],
      { code: "EEXIST" },
    ],
    [
      "a folder in place of a link",
      [
        { name: "way", type: "symlink", linkname: "../.." },
        { name: "way", type: "directory" },
        { name: "way/outside", text: "x" },
      ],
      { code: "EEXIST" },
    ],
    [
      "a file in place of a link",
      [
        { name: "way", type: "symlink", linkname: "../../outside" },
        { name: "way", text: "x" },
      ],
      { code: "EEXIST" },
    ],
    [
      "a hard link that climbs",
      [{ name: "a", type: "link", linkname: "../../outside" }],
      /would lie outside/,
    ],
    [
      "a hard link behind a link",
      [
        { name: "way", type: "symlink", linkname: "../.." },
        { name: "a", type: "link", linkname: "way/outside" },
      ],
      /not in it/,
    ],
  ];
  for (const [what, entries, error] of hostile) {
    it(`refuses ${what}, and leaves nothing`, async () => {
      const before = await readdir(join(folder, "trees"));
      await assert.rejects(unpack(entries), error);
      assert.deepEqual(await readdir(join(folder, "trees")), before);
      assert.equal(await readFile(join(folder, "outside"), "utf8"), "untouched");
    });
  }

  it("takes an absolute name as one below the folder", async () => {
    const root = await unpack([{ name: join(folder, "outside"), text: "x" }]);
    assert.equal(await readFile(join(root, folder, "outside"), "utf8"), "x");
    assert.equal(await readFile(join(folder, "outside"), "utf8"), "untouched");
  });

  it("removes everything it unpacked from a truncated or invalid archive", async () => {
    const before = await readdir(join(folder, "trees"));
    const whole = await archiveOf([
      { name: "a", text: "x".repeat(5000) },
      { name: "b", text: "y".repeat(5000) },
    ]);
    const ends = (archive: Buffer) => trees.unpack(inPieces(archive), join(folder, "trees", "cut"));
    for (const length of [0, 100, 512, 3000, whole.length / 2 - 512, whole.length - 1024])
      await assert.rejects(ends(whole.subarray(0, length)), Error, `${length} bytes`);
    await assert.rejects(ends(randomBytes(10_240)), /tar/i);
    const breaksOff = async function* () {
      yield whole.subarray(0, 2000);
      await Promise.resolve();
      throw new Error("the engine went away");
    };
    await assert.rejects(trees.unpack(breaksOff(), join(folder, "trees", "cut")), /went away/);
    assert.deepEqual(await readdir(join(folder, "trees")), before);
  });

  it("leaves an existing folder unchanged", async () => {
    const directory = join(folder, "trees", "there");
    await mkdir(directory);
    await writeFile(join(directory, "old"), "old");
    const archive = await archiveOf([{ name: "new", text: "new" }]);
    await assert.rejects(trees.unpack(inPieces(archive), directory), { code: "ENOTEMPTY" });
    assert.deepEqual(await readdir(directory), ["old"]);
    assert.equal(
      (await readdir(join(folder, "trees"))).some((name) => name.endsWith(".tmp")),
      false,
    );
    await trees.remove(join(folder, "trees"), "there");
    await trees.remove(join(folder, "trees"), "there");
    await trees.remove(join(folder, "no-trees"), "there");
    assert.equal((await readdir(join(folder, "trees"))).includes("there"), false);
  });
});
