import { parseDocument } from "yaml";
import { messageOf, readRegularFile, ShimError } from "../base/index.js";
import { parseServeConfig, type ServeConfigInput } from "./serve-config.js";

const maxBytes = 262_144;

/**
 * Reads a server's configuration from a YAML file; JSON is YAML too. The content is checked, defaults are not
 * filled in, so that flags can override it.
 * @throws ShimError "invalid-argument" with the file, the line or key, and the problem.
 */
export async function loadConfigFile(path: string): Promise<ServeConfigInput> {
  const content = parseYaml(await readText(path), path);
  // An empty file, or one with only comments, means the defaults.
  const input = content ?? {};
  parseServeConfig(input, path);
  return input;
}

async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readRegularFile(path, { maxBytes }));
  } catch (error) {
    throw new ShimError("invalid-argument", `configuration file ${path}: ${reason(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return "no such file";
    case "EISDIR":
    case "EINVAL":
      return "it is not a regular file";
    case "EACCES":
      return "permission denied";
    case "ERR_ENCODING_INVALID_ENCODED_DATA":
      return "it is not UTF-8 text";
    default:
      return messageOf(error);
  }
}

function parseYaml(text: string, path: string): ServeConfigInput | null {
  let message: string | undefined;
  let content: unknown;
  try {
    const document = parseDocument(text);
    message = (document.errors[0] ?? document.warnings[0])?.message;
    if (message === undefined) content = document.toJS();
  } catch (error) {
    message = messageOf(error);
  }
  if (message !== undefined)
    throw new ShimError(
      "invalid-argument",
      `configuration file ${path}: not YAML or JSON: ${message.split("\n")[0]?.replace(/:$/, "")}`,
    );
  return content as ServeConfigInput | null;
}
