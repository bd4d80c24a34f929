import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { checkImports, root, type Violation } from "./depcruise.js";

/** Imports that the table forbids, one file each, and the rule that must say so. */
const forbidden: readonly { file: string; imports: string; rule: string }[] = [
  { file: "base/up.ts", imports: "../docker/index.js", rule: "base-imports-only-what-is-below" },
  { file: "docker/sideways.ts", imports: "../host/index.js", rule: "docker-imports-only-what-is-below" },
  { file: "translate/up.ts", imports: "../inventory/index.js", rule: "translate-imports-only-what-is-below" },
  { file: "inventory/up.ts", imports: "../sandbox/index.js", rule: "inventory-imports-only-what-is-below" },
  { file: "sandbox/up.ts", imports: "../handlers/index.js", rule: "sandbox-imports-only-what-is-below" },
  { file: "sandbox/inside.ts", imports: "../images/pull.js", rule: "a-module-is-entered-by-its-index" },
  { file: "handlers/inside.ts", imports: "../images/pull.js", rule: "a-module-is-entered-by-its-index" },
  { file: "handlers/up.ts", imports: "../rpc/index.js", rule: "handlers-imports-only-what-is-below" },
  { file: "rpc/up.ts", imports: "../adapters/core/index.js", rule: "rpc-imports-only-what-is-below" },
  { file: "rpc/driver.ts", imports: "../drivers/memory/index.js", rule: "rpc-imports-only-what-is-below" },
  {
    file: "adapters/tcp/side.ts",
    imports: "../unix-socket/index.js",
    rule: "adapters-do-not-know-each-other",
  },
  { file: "adapters/tcp/table.ts", imports: "../../rpc/index.js", rule: "adapters-load-no-handlers" },
  { file: "client/module.ts", imports: "../images/index.js", rule: "client-imports-only-what-is-below" },
  {
    file: "drivers/memory/up.ts",
    imports: "../../translate/index.js",
    rule: "drivers-imports-only-what-is-below",
  },
  { file: "drivers/memory/side.ts", imports: "../node/index.js", rule: "drivers-do-not-know-each-other" },
  {
    file: "composition/up.ts",
    imports: "../testing/index.js",
    rule: "composition-imports-only-what-is-below",
  },
  { file: "images/client.ts", imports: "dockerode", rule: "dockerode-stays-in-its-driver" },
  { file: "images/calls.ts", imports: "@connectrpc/connect", rule: "connect-stays-where-calls-come-in" },
  { file: "attic/index.ts", imports: "../base/index.js", rule: "every-folder-is-in-the-table" },
  { file: "logs/nowhere.ts", imports: "./gone.js", rule: "everything-resolves" },
];

/** Two files that import types from each other; the rule names one of them. */
const cycle = [
  { file: "logs/around.ts", imports: "./about.js" },
  { file: "logs/about.ts", imports: "./around.js" },
] as const;

/** Imports that the table allows. */
const allowed: readonly { file: string; imports: string }[] = [
  { file: "sandbox/images.ts", imports: "../images/index.js" },
  { file: "sandbox/own.ts", imports: "./images.js" },
  { file: "handlers/ask.ts", imports: "../sandbox/index.js" },
  { file: "handlers/port.ts", imports: "../docker/index.js" },
  { file: "composition/make.ts", imports: "../drivers/memory/index.js" },
  { file: "testing/make.ts", imports: "../client/index.js" },
  { file: "drivers/memory/implement.ts", imports: "../../docker/index.js" },
];

const folders = [
  "base",
  "docker",
  "host",
  "translate",
  "inventory",
  "sandbox",
  "images",
  "handlers",
  "rpc",
  "adapters/core",
  "adapters/unix-socket",
  "client",
  "drivers/memory",
  "drivers/node",
  "testing",
];

async function project(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "docker-cri-imports-"));
  await copyFile(join(root, "tsconfig.json"), join(folder, "tsconfig.json"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const write = async (file: string, text: string) => {
    await mkdir(dirname(join(folder, "src", file)), { recursive: true });
    await writeFile(join(folder, "src", file), text);
  };
  for (const name of folders) await write(`${name}/index.ts`, "export const value = 1;\n");
  await write("images/pull.ts", "export const value = 1;\n");
  for (const { file, imports } of [...forbidden, ...allowed, ...cycle]) {
    // The rules hold for types too.
    await write(file, `import type * as other from "${imports}";\nexport type Value = typeof other;\n`);
  }
  return folder;
}

describe("the import table", () => {
  it("holds for everything in src", async () => {
    const { modules, violations } = await checkImports(root);
    assert.deepEqual(violations, []);
    assert.ok(modules > 100, `only ${modules} modules were looked at`);
  });

  it("catches each import that it forbids, and no other", async () => {
    const folder = await project();
    try {
      const { violations } = await checkImports(folder);
      const found = (file: string) => violations.filter(({ from }) => from === `src/${file}`).map(ruleOf);
      for (const { file, imports, rule } of forbidden) {
        assert.ok(found(file).includes(rule), `${file} imports ${imports}: ${String(found(file))}`);
      }
      assert.ok(cycle.some(({ file }) => found(file).includes("no-cycles")));
      for (const { file, imports } of allowed)
        assert.deepEqual(found(file), [], `${file} imports ${imports}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

function ruleOf(violation: Violation): string {
  return violation.rule;
}
