import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { createProgram } from "../../src/cli/program.js";
import { parseServeConfig, serveFlags } from "../../src/config/index.js";
import { ImageService, RuntimeService } from "../../src/gen/runtime/v1/api_pb.js";

const docs = join(import.meta.dirname, "..", "..", "docs");
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
  it("list every RPC and whether it is built", () => {
    const refused = ["CheckpointPod", "RestorePod"];
    const expected = [RuntimeService, ImageService].flatMap((service) =>
      service.methods.map(({ name }) => [service.name, name, refused.includes(name) ? "refused" : "built"]),
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

  it("list the exit codes", () => {
    assert.deepEqual(
      tableAfter(configuration, "## Exit codes and signals").map(([code]) => code),
      ["0", "1", "2"],
    );
  });
});
