import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { describe, it } from "node:test";
import { NodeHost } from "../../../../src/drivers/node/index.js";

const { kernel } = new NodeHost();

describe("the kernel's files", () => {
  it("are absent for a process that is a zombie, without an error", async () => {
    // The child ends once another program has replaced the shell. That program does not reap it; the shell might.
    const child = "until read -r name </proc/$$/comm && [ $name = sleep ]; do sleep 0.01; done";
    const parent = spawn("/bin/sh", ["-c", `{ ${child}; } & echo $!; exec sleep 60`]);
    try {
      const [text] = (await once(parent.stdout, "data")) as [Buffer];
      const pid = Number(text.toString());
      const isZombie = () => /\) Z /.test(kernel.readNow(`/proc/${pid}/stat`) ?? "");
      while (!isZombie()) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(kernel.readNow(`/proc/${pid}/mountinfo`), undefined);
      assert.equal(kernel.readNow(`/proc/${pid}/net/dev`), undefined);
      assert.deepEqual(kernel.openFilesNow(pid, 10), []);
    } finally {
      parent.kill("SIGKILL");
      await once(parent, "exit");
    }
  });

  it("are absent when they are missing, and read whole when they are long", () => {
    assert.equal(kernel.readNow("/proc/self/missing"), undefined);
    assert.equal(kernel.readNow("/proc/self/stat/no"), undefined);
    assert.ok((kernel.readNow("/proc/self/smaps")?.length ?? 0) > 16_384);
  });

  it("show the open files of a process, unless there are too many", () => {
    const files = Array.from({ length: 100 }, () => openSync("/dev/null", "r"));
    try {
      const targets = kernel.openFilesNow(process.pid, 10_000);
      assert.ok(targets && targets.filter((target) => target === "/dev/null").length >= 100);
      assert.equal(kernel.openFilesNow(process.pid, 50), undefined);
    } finally {
      for (const file of files) closeSync(file);
    }
    assert.deepEqual(kernel.openFilesNow(2 ** 22 + 1, 10), []);
  });
});
