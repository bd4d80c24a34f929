import { exitCodes, reportFailure } from "./exit.js";
import type { Io } from "./io.js";
import { createProgram } from "./program.js";

/**
 * Runs a command line to its end.
 * @param args Without Node's and the program's own names.
 * @returns The exit code. It does not throw.
 */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let code: number = exitCodes.ok;
  try {
    await createProgram(io, (given) => (code = given)).parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    return reportFailure(error, io);
  }
}
