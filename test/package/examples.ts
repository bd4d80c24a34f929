import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { createClients } from "../../src/client/index.js";
import { plainEnvironment, succeed, type Stage } from "./support/stage.js";

const examples = join(import.meta.dirname, "..", "..", "examples");

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
}

/** The tests of the examples, each installed beside the staged package. */
export function describeExamples(staged: () => Stage): void {
  describe("the examples", () => {
    let stage: Stage;
    before(async () => {
      stage = staged();
      await cp(examples, stage.project, { recursive: true });
    });

    it("are packages of their own that depend on docker-cri, and report how to run them", async () => {
      const names = await readdir(examples);
      assert.deepEqual(names.sort(), ["embedded-agent", "in-process-test", "standalone-server"]);
      for (const name of names) {
        const manifest = JSON.parse(await readFile(join(examples, name, "package.json"), "utf8")) as Manifest;
        assert.equal(manifest.dependencies["docker-cri"], "file:../..", name);
        assert.ok(manifest.scripts["start"] ?? manifest.scripts["test"], name);
        const readme = await readFile(join(examples, name, "README.md"), "utf8");
        assert.match(readme, /npm install\n/, name);
      }
    });

    it("standalone-server serves until it is stopped", async () => {
      const folder = join(stage.project, "standalone-server");
      const socket = join(folder, "cri.sock");
      const child = spawn(process.execPath, ["server.js", socket, "memory"], {
        cwd: folder,
        env: plainEnvironment(),
        stdio: ["ignore", "pipe", "ignore"],
      });
      try {
        let out = "";
        child.stdout.setEncoding("utf8").on("data", (chunk: string) => (out += chunk));
        while (!out.includes("in sync with Docker")) await once(child.stdout, "data");
        using clients = createClients({ endpoint: `unix://${socket}` });
        assert.equal((await clients.runtime.version({})).runtimeName, "docker");
        const closed = once(child, "close");
        child.kill("SIGTERM");
        assert.deepEqual(await closed, [0, null]);
        assert.equal(out, `serving CRI on unix://${socket}\nin sync with Docker\nclosed; pods run on\n`);
      } finally {
        child.kill("SIGKILL");
      }
    });

    it("embedded-agent serves, runs its job and sees it happen", async () => {
      const folder = join(stage.project, "embedded-agent");
      const socket = join(folder, "cri.sock");
      const { out } = await succeed(folder, process.execPath, "agent.js", socket, "memory");
      const lines = out.trim().split("\n");
      assert.equal(lines[0], `serving CRI on unix://${socket}`);
      // What follows it, if anything, are events of the removal.
      assert.ok(lines.includes("the job ended with 3"), out);
      assert.ok(lines.includes("inside the container: hello"));
      const seen = lines.map((line) => /^[0-9a-f]{12} of check: (\w+)$/.exec(line)?.[1]).filter(Boolean);
      assert.deepEqual(seen.slice(0, 5), [
        "CONTAINER_CREATED_EVENT",
        "CONTAINER_STARTED_EVENT",
        "CONTAINER_CREATED_EVENT",
        "CONTAINER_STARTED_EVENT",
        "CONTAINER_STOPPED_EVENT",
      ]);
    });

    it("in-process-test passes", async () => {
      const folder = join(stage.project, "in-process-test");
      const { out } = await succeed(folder, process.execPath, "--test", "--test-reporter=tap");
      assert.match(out, /^# pass 4$/m);
      assert.match(out, /^# fail 0$/m);
    });
  });
}
