import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { parse } from "yaml";
import * as z from "zod";
import { createProgram } from "../../src/cli/program.js";
import { parseServeConfig, serveFlags } from "../../src/config/index.js";
import { ServeConfigSchema } from "../../src/config/serve-config.js";
import { ImageService, RuntimeService } from "../../src/gen/runtime/v1/api_pb.js";

const root = join(import.meta.dirname, "..", "..");
const docs = join(root, "docs");
const rpcSupport = readFileSync(join(docs, "rpc-support.md"), "utf8");
const configuration = readFileSync(join(docs, "configuration.md"), "utf8");

/** The rows of the table below a heading, cell by cell, without its head. */
function tableAfter(text: string, heading: string): string[][] {
  const section = `\n${text}`.split(`\n${heading}\n`)[1]?.split(/\n#/)[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("\\|", "|")),
  );
}

describe("the docs", () => {
  it("list every RPC and whether it is supported", () => {
    const refused = ["CheckpointPod", "RestorePod"];
    const expected = [RuntimeService, ImageService].flatMap((service) =>
      service.methods.map(({ name }) => [
        service.name,
        name,
        refused.includes(name) ? "refused" : "supported",
      ]),
    );
    assert.equal(expected.length, 43);
    assert.deepEqual(
      tableAfter(rpcSupport, "# Supported RPCs").map((row) => row.slice(0, 3)),
      expected,
    );
  });

  it("describe every flag of serve as its help does", () => {
    const expected = serveFlags.map(({ names, value, default: standard, criDockerd, description }) => [
      `\`${names} ${value}\``,
      criDockerd ? "yes" : "",
      standard,
      description,
    ]);
    const rows = tableAfter(configuration, "## Flags of serve");
    assert.deepEqual(rows.slice(0, expected.length), expected);
  });

  it("leave no option of serve's command line out", () => {
    const nowhere = new Writable({
      write: (_chunk, _encoding, done) => {
        done();
      },
    });
    const program = createProgram({ stdout: nowhere, stderr: nowhere, environment: {} }, () => undefined);
    const serve = program.commands.find((command) => command.name() === "serve");
    const options = serve?.options.map(({ flags }) => `\`${flags}\``) ?? [];
    assert.ok(options.length > serveFlags.length);
    assert.deepEqual(
      tableAfter(configuration, "## Flags of serve")
        .map(([flag]) => flag)
        .sort(),
      options.sort(),
    );
  });

  it("show a valid configuration file whose values are the defaults", () => {
    const blocks = [...configuration.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = ""]) => text);
    const file = blocks.find((text) => text.startsWith("listen:"));
    assert.ok(file);
    assert.deepEqual(parseServeConfig(parse(file), "configuration.md"), parseServeConfig({}, "defaults"));
  });

  it("name every key of the configuration file", () => {
    const [, shown = ""] = /```yaml\n(listen:[^]*?)```/.exec(configuration) ?? [];
    const keys = keysOf(z.toJSONSchema(ServeConfigSchema, { io: "input" }));
    assert.ok(keys.length > 40);
    for (const key of keys) assert.match(shown, new RegExp(`\\b${key}:`));
  });

  it("list the exit codes", () => {
    assert.deepEqual(
      tableAfter(configuration, "## Exit codes and signals").map(([code]) => code),
      ["0", "1", "2"],
    );
  });

  it("link to files and headings that exist", () => {
    const files = [".", "docs", "docs/decisions", "examples/*"].flatMap(markdownIn);
    assert.ok(files.length > 20);
    for (const file of files) {
      const text = readFileSync(file, "utf8").replaceAll(/```[^]*?```/g, "");
      for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        const [path = "", heading] = target.split("#");
        const linked = path === "" ? file : join(file, "..", path);
        assert.ok(existsSync(linked), `${file} links to ${target}`);
        if (heading !== undefined) assert.ok(headingsOf(linked).includes(heading), `${file}: ${target}`);
      }
    }
  });

  it("begin with a README of at most 10 KB", () => {
    assert.ok(statSync(join(root, "README.md")).size <= 10_000);
  });
});

/** The keys of a JSON schema, at every depth. */
function keysOf(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  return Object.entries(schema).flatMap(([name, part]) => [
    ...(name === "properties" ? Object.keys(part as object) : []),
    ...keysOf(part),
  ]);
}

/** The Markdown files in a folder of the project; `/*` at its end stands for the folders in it. */
function markdownIn(folder: string): string[] {
  const names = readdirSync(join(root, folder.replace("/*", "")), { withFileTypes: true });
  if (folder.endsWith("/*"))
    return names.flatMap(({ name }) => markdownIn(join(folder.replace("/*", ""), name)));
  return names.filter(({ name }) => name.endsWith(".md")).map(({ name }) => join(root, folder, name));
}

/** The anchors of a file's headings, as GitHub makes them. */
function headingsOf(file: string): string[] {
  const lines = readFileSync(file, "utf8").match(/^#+ .*$/gm) ?? [];
  return lines.map((line) =>
    line
      .replace(/^#+ /, "")
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );
}
