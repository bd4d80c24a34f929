import { Writable } from "node:stream";
import type { Command, Option } from "commander";
import { createProgram } from "../../src/cli/program.js";

/** An option of a command, for the man page and for completion. */
export interface DescribedOption {
  /** `-f`, `--follow` */
  readonly names: readonly string[];
  /** `<file>`; empty when it takes no value. */
  readonly value: string;
  readonly description: string;
  /** The heading that serve's help lists it under. */
  readonly group: string;
}

export interface DescribedCommand {
  readonly name: string;
  /** `<path>` */
  readonly arguments: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly options: readonly DescribedOption[];
}

/** The command line as the program has it. Serve's options are the table of flags in `src/config`. */
export function describeProgram(): { program: DescribedCommand; commands: DescribedCommand[] } {
  const nowhere = new Writable();
  const program = createProgram({ stdout: nowhere, stderr: nowhere, environment: {} }, () => undefined);
  return { program: describe(program), commands: program.commands.map(describe) };
}

function describe(command: Command): DescribedCommand {
  return {
    name: command.name(),
    arguments: command.registeredArguments.map((argument) => `<${argument.name()}>`),
    summary: command.summary(),
    description: command.description(),
    options: command.options.map(describeOption),
  };
}

function describeOption(option: Option): DescribedOption {
  const [, names = "", value = ""] = /^(.*?) ?([<[].*)?$/.exec(option.flags) ?? [];
  const group = option.helpGroupHeading ?? "";
  return { names: names.split(/[ ,|]+/), value, description: option.description, group };
}

/** What completes an option's value. */
export function valueKind({
  value,
}: DescribedOption): "none" | "file" | "folder" | "text" | readonly string[] {
  if (value === "") return "none";
  if (value.includes("|")) return value.slice(1, -1).split("|");
  if (value === "<file>" || value === "<path>") return "file";
  return value === "<dir>" || value === "<dirs>" ? "folder" : "text";
}
