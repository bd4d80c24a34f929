import { Lexer, parseDocument } from "yaml";
import { messageOf, readRegularFile, ShimError } from "../base/index.js";
import { parseServeConfig, type ServeConfigInput } from "./serve-config.js";

const maxBytes = 262_144;
const maxDepth = 50;

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
    if (isDeep(text)) {
      message = `it is nested more than ${maxDepth} levels deep`;
    } else {
      const document = parseDocument(text);
      const problem = document.errors[0] ?? document.warnings[0];
      message = problem?.code === "MULTIPLE_DOCS" ? "it has more than one document" : problem?.message;
      if (message === undefined) content = document.toJS();
    }
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

/** The parser recurses. Where the stack ends while V8 compiles a regular expression, the process would be aborted. */
function isDeep(text: string): boolean {
  let brackets = 0;
  let indicators = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === "[" || token === "{") brackets++;
    else if (token === "]" || token === "}") brackets--;
    else if (token === "-" || token === "?") indicators++;
    else if (token === "\n" || token === "\r\n") indicators = 0;
    if (brackets + indicators > maxDepth) return true;
  }
  return false;
}
