import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { createProgram } from "../../src/cli/program.js";
import { parseServeConfig, serveFlags } from "../../src/config/index.js";
import { ImageService, RuntimeService } from "../../src/gen/runtime/v1/api_pb.js";
import { notBuiltRpcs } from "../../src/handlers/index.js";

const readme = readFileSync(join(import.meta.dirname, "..", "..", "README.md"), "utf8");

/** The rows of the table that follows a heading, cell by cell, without its head. */
function tableAfter(heading: string): string[][] {
  const section = readme.split(`\n${heading}\n`)[1]?.split(/\n#/)[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("\\|", "|")),
  );
}

describe("the README", () => {
  it("tells of every RPC whether it is built", () => {
    const notBuilt: readonly string[] = notBuiltRpcs;
    const expected = [RuntimeService, ImageService].flatMap((service) =>
      service.methods.map(({ name }) => [service.name, name, notBuilt.includes(name) ? "not yet" : "built"]),
    );
    assert.equal(expected.length, 43);
    assert.deepEqual(
      tableAfter("## What is served").map((row) => row.slice(0, 3)),
      expected,
    );
  });

  it("tells of every flag of serve what its help tells", () => {
    const expected = serveFlags.map(({ names, value, default: standard, criDockerd, description }) => [
      `\`${names} ${value}\``,
      criDockerd ? "yes" : "",
      standard,
      description,
    ]);
    const rows = tableAfter("### Flags of serve");
    assert.deepEqual(rows.slice(0, expected.length), expected);
  });

  it("leaves no option of serve's command line out", () => {
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
      tableAfter("### Flags of serve")
        .map(([flag]) => flag)
        .sort(),
      options.sort(),
    );
  });

  it("shows a configuration file that is right, and whose values are the defaults", () => {
    const blocks = [...readme.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = ""]) => text);
    const file = blocks.find((text) => text.startsWith("listen:"));
    assert.ok(file);
    assert.deepEqual(parseServeConfig(parse(file), "README.md"), parseServeConfig({}, "defaults"));
  });

  it("tells the exit codes", () => {
    assert.deepEqual(
      tableAfter("### Exit codes and signals").map(([code]) => code),
      ["0", "1", "2"],
    );
  });
});
