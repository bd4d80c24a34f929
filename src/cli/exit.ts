import { CommanderError } from "commander";
import { isKind, messageOf } from "../base/index.js";
import { say, type Io } from "./io.js";

/** The exit codes of the process. */
export const exitCodes = {
  ok: 0,
  /** A failure: of Docker, a socket, or a check of doctor. */
  failure: 1,
  /** The command line or the configuration is wrong; a retry cannot help. */
  usage: 2,
} as const;

/** Prints an error in one line unless it was already printed, and returns its exit code. */
export function reportFailure(error: unknown, io: Io): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  say(io.stderr, `docker-cri: ${oneLine(messageOf(error))}`);
  return isKind(error, "invalid-argument") ? exitCodes.usage : exitCodes.failure;
}

function oneLine(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "").join(" ");
}
