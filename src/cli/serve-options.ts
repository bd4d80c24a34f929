import { Option, type Command } from "commander";
import { serveFlags, type GivenFlags, type ServeFlag } from "../config/index.js";

/** Gives a command the flags of serve. */
export function addServeFlags(command: Command, { hidden = false } = {}): Command {
  for (const flag of serveFlags) command.addOption(optionOf(flag).hideHelp(hidden).helpGroup(flag.group));
  return command;
}

/** The flags of serve that are on the command line. */
export function givenFlags(command: Command): GivenFlags {
  const values = new Map<ServeFlag, string | true>();
  for (const flag of serveFlags) {
    const value: unknown = command.getOptionValue(optionOf(flag).attributeName());
    if (typeof value === "string" || value === true) values.set(flag, value);
  }
  const file: unknown = command.getOptionValue("config");
  return { values, file: typeof file === "string" ? file : undefined };
}

/** Whether a text such as `--docker-endpoint` names one of serve's flags. */
export function isServeFlag(name: string): boolean {
  return serveFlags.some((flag) => flag.names.split(", ").includes(name));
}

/** Defaults appear in the help only: an absent flag must not override the configuration file. */
function optionOf(flag: ServeFlag): Option {
  return new Option(`${flag.names} ${flag.value}`, `${flag.description} (default: ${flag.default})`);
}
