import { constants, open } from "node:fs/promises";
import { parseDocument } from "yaml";
import { messageOf, ShimError } from "../base/index.js";
import { parseServeConfig, type ServeConfigInput } from "./serve-config.js";

const maxBytes = 262_144;

/**
 * Reads a server's configuration from a YAML file; JSON is YAML too. The content is checked, defaults are not
 * filled in, so that flags can be laid over it.
 * @throws ShimError "invalid-argument" naming the file, and the line or the key, and what is wrong with it.
 */
export async function loadConfigFile(path: string): Promise<ServeConfigInput> {
  const content = parseYaml(await readText(path), path);
  // An empty file, or one of comments alone, asks for the defaults.
  const input = content ?? {};
  parseServeConfig(input, path);
  return input;
}

async function readText(path: string): Promise<string> {
  let file;
  try {
    // Without O_NONBLOCK a pipe that nobody writes to would hold the start for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) throw new ShimError("invalid-argument", "it is not a regular file");
    if (stat.size > maxBytes)
      throw new ShimError("invalid-argument", `it has ${stat.size} bytes, more than the ${maxBytes} allowed`);
    const buffer = Buffer.alloc(maxBytes);
    const { bytesRead } = await file.read(buffer, 0, maxBytes, 0);
    return new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, bytesRead));
  } catch (error) {
    throw new ShimError("invalid-argument", `configuration file ${path}: ${reason(error)}`, { cause: error });
  } finally {
    await file?.close();
  }
}

function reason(error: unknown): string {
  if (error instanceof ShimError) return error.message;
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return "there is no such file";
    case "EACCES":
      return "this user may not read it";
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
