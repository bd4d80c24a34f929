import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loadConfigFile } from "../../../src/config/index.js";

describe("loadConfigFile", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "docker-cri-config-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function load(content: string | Uint8Array): Promise<unknown> {
    const path = join(folder, "config.yaml");
    await writeFile(path, content);
    return loadConfigFile(path);
  }

  it("reads YAML", async () => {
    const text = 'engine:\n  kind: memory\nlisten: { socketMode: "0600" } # mine\nnetwork: {plugin: none}\n';
    assert.deepEqual(await load(text), {
      engine: { kind: "memory" },
      listen: { socketMode: "0600" },
      network: { plugin: "none" },
    });
  });

  it("reads JSON, indented with tabs too", async () => {
    assert.deepEqual(await load('{\n\t"logs": {\n\t\t"mode": "docker-json"\n\t}\n}'), {
      logs: { mode: "docker-json" },
    });
  });

  it("takes an empty file, or comments alone, for the defaults", async () => {
    assert.deepEqual(await load(""), {});
    assert.deepEqual(await load("# nothing yet\n"), {});
  });

  for (const [what, content, message] of [
    ["a key that is not there", "networks: {}", /config\.yaml: networks: unknown key$/],
    ["a wrong value", "network: {plugin: kubenet}", /config\.yaml: network\.plugin: /],
    [
      "a key given twice",
      "logLevel: info\nlogLevel: warn",
      /not YAML or JSON: .*unique at line 2, column 1$/,
    ],
    ["an unclosed bracket", "network: [", /not YAML or JSON: .*line 1/],
    [
      "two documents",
      "logLevel: info\n---\nlogLevel: warn",
      /not YAML or JSON: it has more than one document$/,
    ],
    ["a key without a value", "network:\n  # plugin: none", /config\.yaml: network: has no value/],
    ["an unknown tag", 'logLevel: !!js/function "x"', /not YAML or JSON: Unresolved tag/],
    ["an alias to nothing", "logLevel: *level", /not YAML or JSON: Unresolved alias/],
    ["a list", "- engine", /config\.yaml: /],
    ["a bare word", "memory", /config\.yaml: /],
    ["bytes that are not UTF-8", Uint8Array.of(0xff, 0xfe, 0x00), /it is not UTF-8 text$/],
    ["too much", "#".repeat(300_000), /it has 300000 bytes, more than/],
    ["brackets without end", "[".repeat(100_000), /not YAML or JSON: it is nested more than 50 levels deep$/],
    [
      "a list of lists without end",
      "- ".repeat(100_000),
      /not YAML or JSON: it is nested more than 50 levels/,
    ],
  ] as const) {
    it(`refuses ${what}, naming the file`, async () => {
      await assert.rejects(load(content), { kind: "invalid-argument", message });
    });
  }

  it("refuses aliases that would grow beyond measure", async () => {
    const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
    for (let i = 1; i < 12; i++)
      lines.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(", ")}]`,
      );
    await assert.rejects(load(lines.join("\n")), { kind: "invalid-argument", message: /alias/i });
  });

  it("reports when there is no file, or something else than a file", async () => {
    await assert.rejects(loadConfigFile(join(folder, "missing.yaml")), {
      kind: "invalid-argument",
      message: /missing\.yaml: no such file$/,
    });
    await assert.rejects(loadConfigFile(folder), { message: /it is not a regular file$/ });
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    await assert.rejects(loadConfigFile(pipe), { message: /it is not a regular file$/ });
  });
});
