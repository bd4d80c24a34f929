import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { join } from "node:path";
import { describe, it } from "node:test";

const module = join(import.meta.dirname, "../../../src/composition/stderr-log.ts");
const script = `
  const { stderrLog } = await import(${JSON.stringify(module)});
  const log = stderrLog("trace");
  for (const level of ["debug", "info", "warn", "error", "fatal"]) log[level]("a line");
  log.warn({ server: "https://user:secret@registry.example" }, "an address");
`;

/** The lines of a process that logs; `prefix` runs before it in a shell. */
async function lines(prefix: string): Promise<string[]> {
  const node = [process.execPath, "--import", "tsx", "--input-type=module", "-e", script];
  const child = spawn("sh", ["-c", `${prefix} exec "$@"`, "sh", ...node], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  return (await text(child.stderr)).trim().split("\n");
}

describe("stderrLog", () => {
  it("gives the journal only each line's severity", async () => {
    const shown = await lines("JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)");
    // At the end of a process, what waited may overtake what was being written.
    const severities = shown.map((line) => line.slice(0, 3)).sort();
    assert.deepEqual(severities, ["<2>", "<3>", "<4>", "<4>", "<6>", "<7>"], shown.join("\n"));
  });

  it("writes plain JSON anywhere else, and no login", async () => {
    for (const prefix of ["", "JOURNAL_STREAM=1:2"]) {
      const shown = await lines(prefix);
      assert.equal(shown.length, 6);
      const last = JSON.parse(shown.find((line) => line.includes("an address")) ?? "") as { server: string };
      assert.equal(last.server, "https://***@registry.example");
    }
  });
});
