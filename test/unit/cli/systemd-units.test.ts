import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";

const folder = join(import.meta.dirname, "..", "..", "..", "packaging", "systemd");

describe("the systemd units", () => {
  it("leave the socket open while the service is stopped or restarts", async () => {
    assert.doesNotMatch(await readFile(join(folder, "docker-cri.socket"), "utf8"), /^(?:PartOf|BindsTo)=/m);
  });

  it("give the journal the program's name, and not that of env, which starts it", async () => {
    assert.match(
      await readFile(join(folder, "docker-cri.service"), "utf8"),
      /^SyslogIdentifier=docker-cri$/m,
    );
  });
});
