import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createClients } from "../../../src/client/index.js";
import { createTestShim } from "../../../src/testing/index.js";

const docs = join(import.meta.dirname, "..", "..", "..", "docs");

describe("docs/observability.md", () => {
  it("lists the metrics with their types and texts", async () => {
    await using lab = await createTestShim({ metrics: { address: "127.0.0.1:0" } });
    const text = (await lab.shim.metrics?.text()) ?? "";
    const types = new Map(
      [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]),
    );
    const shown = [...text.matchAll(/^# HELP (docker_cri_\S+) (.*)$/gm)].map(([, name = "", help]) => [
      name,
      types.get(name),
      help,
    ]);
    const table = [
      ...readFileSync(join(docs, "observability.md"), "utf8").matchAll(
        /^\| `(docker_cri_\w+)` *\| (\w+) *\|[^|]*\| (.*?) *\|$/gm,
      ),
    ].map(([, ...cells]) => cells);
    assert.ok(table.length > 15);
    assert.deepEqual(table.sort(), shown.sort());
  });
});

describe("docs/grafana-dashboard.json", () => {
  it("queries existing metrics and labels", async () => {
    await using lab = await createTestShim({ metrics: { address: "127.0.0.1:0" } });
    await createClients(lab.shim.inProcessTransport()).runtime.version({});
    const text = (await lab.shim.metrics?.text()) ?? "";
    const { panels } = JSON.parse(readFileSync(join(docs, "grafana-dashboard.json"), "utf8")) as {
      panels: { title: string; targets: { expr: string; legendFormat: string }[] }[];
    };
    const targets = panels.flatMap((panel) => panel.targets);
    assert.ok(targets.length > 15);
    for (const { expr, legendFormat } of targets) {
      const [name = ""] = /\b(?:docker_cri|nodejs|process)_\w+/.exec(expr) ?? [];
      const samples = text.split("\n").filter((line) => new RegExp(`^${name}[ {]`).test(line));
      const family = name.replace(/_(bucket|count)$/, "");
      assert.ok(samples.length > 0 || text.includes(`# TYPE ${family} histogram`), `${expr}: ${name}`);
      const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
      for (const label of labels)
        assert.ok(
          samples.every((line) => line.includes(`${label}="`)),
          `${expr}: ${label}`,
        );
    }
  });
});
