import { ShimError } from "../base/index.js";
import type { Environment } from "./environment.js";
import type { ServeConfigInput } from "./serve-config.js";

/** The context in which a flag is applied. */
export interface FlagContext {
  /** The configuration so far: the file's, and what the flags before this one set. */
  readonly draft: ServeConfigInput;
  readonly environment: Environment;
  /** A note about the flag for the operator, logged at start. */
  readonly note: (text: string) => void;
}

/** A flag of `docker-cri serve`. */
export interface ServeFlag {
  /** The heading under which the help lists it. */
  readonly group: string;
  /** `--docker-endpoint`; with another name for it before or after, comma-separated. */
  readonly names: string;
  /** The placeholder of the value in the help. In brackets the value is optional, with `true` as its default. */
  readonly value: `<${string}>` | `[${string}]`;
  /** The default, as the help shows it. */
  readonly default: string;
  readonly description: string;
  /** True for a flag of cri-dockerd's, under its name. */
  readonly criDockerd: boolean;
  /** @throws ShimError "invalid-argument" with the allowed values. */
  readonly apply: (value: string, context: FlagContext) => void;
}

/** The value as a boolean, in the forms that Go's flag packages accept. */
export function booleanOf(value: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new ShimError("invalid-argument", `"${value}" must be true or false`);
}

/** The value, if it is one of `allowed`. */
export function oneOf<const T extends string>(value: string, allowed: readonly T[]): T {
  const found = allowed.find((word) => word === value);
  if (found !== undefined) return found;
  throw new ShimError("invalid-argument", `"${value}" must be one of ${allowed.join(", ")}`);
}
