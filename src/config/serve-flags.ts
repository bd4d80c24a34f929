import { messageOf, ShimError } from "../base/index.js";
import { engineFlags } from "./engine-flags.js";
import type { Environment } from "./environment.js";
import type { ServeFlag } from "./flag.js";
import { listenFlags } from "./listen-flags.js";
import { loadConfigFile } from "./load-file.js";
import { networkFlags } from "./network-flags.js";
import { streamingFlags } from "./streaming-flags.js";
import { parseServeConfig, type ServeConfig, type ServeConfigInput } from "./serve-config.js";

/** The flags of `docker-cri serve`, in the order in which they are applied. */
export const serveFlags: readonly ServeFlag[] = [
  ...engineFlags,
  ...listenFlags,
  ...streamingFlags,
  ...networkFlags,
];

/** The flags given on the command line. */
export interface GivenFlags {
  /** The value of each flag that was given; `true` where it came without one. */
  readonly values: ReadonlyMap<ServeFlag, string | true>;
  /** A configuration file; flags win over it. */
  readonly file?: string | undefined;
}

/**
 * The configuration of a server: a file, flags over it, and the defaults for the rest.
 * @returns The configuration, and notes about the flags for the operator, which are logged at start.
 * @throws ShimError "invalid-argument" naming the flag, or the file and the key.
 */
export async function loadServeConfig(
  given: GivenFlags,
  environment: Environment,
): Promise<{ config: ServeConfig; notes: string[] }> {
  const draft: ServeConfigInput = given.file === undefined ? {} : await loadConfigFile(given.file);
  const notes: string[] = [];
  for (const flag of serveFlags) {
    const value = given.values.get(flag);
    if (value === undefined) continue;
    const [name = flag.names] = flag.names.split(",");
    const note = (text: string) => notes.push(`${name}: ${text}`);
    try {
      flag.apply(value === true ? "true" : value, { draft, environment, note });
    } catch (error) {
      throw new ShimError("invalid-argument", `${name}: ${messageOf(error)}`, { cause: error });
    }
    // Validated after each flag, so that the error names the flag.
    parseServeConfig(draft, name);
  }
  return { config: parseServeConfig(draft, "the command line"), notes };
}
