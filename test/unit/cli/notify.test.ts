import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pino } from "pino";
import { notifySystemd } from "../../../src/cli/notify.js";

describe("notifySystemd", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "docker-cri-notify-"));
    const tool = join(folder, "systemd-notify");
    // What systemd's tool is given, where a test can read it.
    await writeFile(tool, `#!/bin/sh\nprintf '%s\\n' "$NOTIFY_SOCKET" "$@" > ${folder}/told\n`);
    await chmod(tool, 0o755);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** What is logged while systemd is told. */
  async function told(environment: { NOTIFY_SOCKET?: string; PATH?: string }): Promise<string> {
    let logged = "";
    const log = pino({ level: "info" }, { write: (line: string) => (logged += line) });
    await notifySystemd(["READY=1", "STATUS=a b"], environment, log);
    return logged;
  }

  it("hands the states to systemd's own tool", async () => {
    const PATH = [folder, process.env["PATH"]].join(delimiter);
    assert.equal(await told({ NOTIFY_SOCKET: "/run/systemd/notify", PATH }), "");
    assert.equal(await readFile(join(folder, "told"), "utf8"), "/run/systemd/notify\nREADY=1\nSTATUS=a b\n");
  });

  it("does nothing without a notify socket", async () => {
    assert.equal(await told({ PATH: "/nowhere" }), "");
  });

  it("warns the operator about a missing tool, and continues", async () => {
    assert.match(
      await told({ NOTIFY_SOCKET: "/run/systemd/notify", PATH: "/nowhere" }),
      /Type=exec in the unit/,
    );
  });
});
