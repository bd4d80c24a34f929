import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { link, mkdir, mkdtemp, open, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { NodeHost } from "../../../../src/drivers/node/index.js";

const { trees } = new NodeHost();
const { signal } = new AbortController();
const quick = { share: 1, signal };

describe("the disk usage of a folder", () => {
  let root: string;
  let folder: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "docker-cri-usage-"));
  });
  after(async () => {
    await rm(root, { recursive: true });
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(root, "tree-"));
  });

  it("counts allocated blocks, and each inode once", async () => {
    const empty = await trees.usage(folder, quick);
    assert.equal(empty.inodes, 1n);
    await mkdir(join(folder, "a/b"), { recursive: true });
    const folders = await trees.usage(folder, quick);
    assert.equal(folders.inodes, 3n);
    await writeFile(join(folder, "a/b/large"), Buffer.alloc(1_000_000, 1));
    await link(join(folder, "a/b/large"), join(folder, "a/same"));
    await symlink("/nowhere/at/all", join(folder, "dangling"));
    const { usedBytes, inodes } = await trees.usage(folder, quick);
    assert.equal(inodes, 5n);
    const grown = Number(usedBytes - folders.usedBytes);
    assert.ok(grown >= 1_000_000 && grown < 1_050_000, `${grown} for 1 MB and a link`);
    const sparse = await open(join(folder, "sparse"), "w");
    await sparse.truncate(1_000_000_000);
    await sparse.close();
    const withHole = await trees.usage(folder, quick);
    assert.ok(withHole.usedBytes - usedBytes < 100_000n, "a hole takes nothing");
  });

  it("is that of more entries than are looked at at once", async () => {
    await Promise.all(Array.from({ length: 200 }, (_, index) => writeFile(join(folder, `f${index}`), "")));
    assert.equal((await trees.usage(folder, quick)).inodes, 201n);
  });

  it("counts only the differences from the folder that it is a copy of", async () => {
    const original = join(root, "original");
    await mkdir(join(original, "etc"), { recursive: true });
    for (const name of ["kept", "changed", "touched"])
      await writeFile(join(original, "etc", name), name.repeat(2_000));
    // As Docker copies: times to the nanosecond, which Node's own copy does not keep.
    execFileSync("cp", ["-aT", original, folder]);
    const unlessIn = original;
    const before = await trees.usage(folder, { ...quick, unlessIn });
    assert.deepEqual(before, { usedBytes: 0n, inodes: 0n });
    await writeFile(join(folder, "etc/changed"), "longer".repeat(5_000));
    await utimes(join(folder, "etc/touched"), new Date(), new Date());
    await writeFile(join(folder, "new"), "x");
    const { usedBytes, inodes } = await trees.usage(folder, { ...quick, unlessIn });
    assert.equal(inodes, 3n);
    assert.ok(usedBytes >= 30_000n && usedBytes < 80_000n, String(usedBytes));
  });

  it("is measured with pauses, and aborted with its signal", async () => {
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => writeFile(join(folder, `f${index}`), "")));
    let atFullSpeedMs = Infinity;
    for (let times = 0; times < 3; times++) {
      const startedAtMs = performance.now();
      await trees.usage(folder, quick);
      atFullSpeedMs = Math.min(atFullSpeedMs, performance.now() - startedAtMs);
    }
    const cpuBefore = process.cpuUsage();
    const pacedAtMs = performance.now();
    await trees.usage(folder, { share: 0.1, signal });
    const pacedMs = performance.now() - pacedAtMs;
    const { user, system } = process.cpuUsage(cpuBefore);
    assert.ok((user + system) / 1000 < pacedMs * 0.5, `${(user + system) / 1000} ms of CPU in ${pacedMs} ms`);
    assert.ok(pacedMs > atFullSpeedMs, `${pacedMs} beside ${atFullSpeedMs}`);
    const over = new AbortController();
    const given = trees.usage(folder, { share: 0.0001, signal: over.signal });
    over.abort(new Error("closing"));
    await assert.rejects(given);
  });

  it("fails for a missing folder", async () => {
    await assert.rejects(trees.usage(join(root, "missing"), quick), { code: "ENOENT" });
  });
});
