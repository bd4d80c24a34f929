import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Statements } from "./statements.js";

const fieldRow = z.tuple([z.int(), z.string(), z.literal("deprecated").optional()]);
const enumTable = z.record(z.string(), z.int());
const rpcRow = z.tuple([z.string(), z.string(), z.enum(["unary", "stream"])]);

// Strict objects: a key this file does not know would otherwise go unchecked.
const contractTable = z.strictObject({
  package: z.string(),
  syntax: z.string(),
  options: z.strictObject({ goPackage: z.string() }),
  services: z.record(z.string(), z.record(z.string(), rpcRow)),
  messages: z.record(
    z.string(),
    z.strictObject({
      fields: z.record(z.string(), fieldRow),
      enums: z.record(z.string(), enumTable).optional(),
    }),
  ),
  enums: z.record(z.string(), enumTable),
});

/** The published CRI v1, from the table beside this file. */
export function publishedStatements(): Statements {
  const text = readFileSync(join(import.meta.dirname, "cri-v1.json"), "utf8");
  const table = contractTable.parse(JSON.parse(text));
  const statements = new Map<string, string>([
    ["file package", table.package],
    ["file syntax", table.syntax],
    ["file go_package", table.options.goPackage],
  ]);
  const addEnum = (name: string, values: Record<string, number>): void => {
    statements.set(`enum ${name}`, "");
    for (const [value, number] of Object.entries(values)) {
      statements.set(`value ${name}.${value}`, String(number));
    }
  };
  for (const [name, { fields, enums = {} }] of Object.entries(table.messages)) {
    statements.set(`message ${name}`, "");
    for (const [field, [number, type, deprecated]] of Object.entries(fields)) {
      statements.set(`field ${name}.${field}`, `${number} ${type}${deprecated ? " deprecated" : ""}`);
    }
    for (const [nested, values] of Object.entries(enums)) addEnum(`${name}.${nested}`, values);
  }
  for (const [name, values] of Object.entries(table.enums)) addEnum(name, values);
  for (const [service, rpcs] of Object.entries(table.services)) {
    statements.set(`service ${service}`, "");
    for (const [rpc, [input, output, kind]] of Object.entries(rpcs)) {
      statements.set(`rpc ${service}.${rpc}`, `${kind} ${input} → ${output}`);
    }
  }
  return statements;
}
