import * as z from "zod";
import { parseEndpoint, ShimError } from "../base/index.js";
import { checked } from "./parse.js";
import { ShimConfigSchema } from "./shim-config.js";

const absolutePath = z.string().startsWith("/", "must be an absolute path");
const endpoint = z
  .string()
  .refine(isEndpoint, "must be unix:///path, fd:// (a socket from systemd) or tcp://host:port");

function isEndpoint(text: string): boolean {
  if (text === "fd://") return true;
  try {
    parseEndpoint(text);
    return true;
  } catch {
    return false;
  }
}

const ListenSchema = z.strictObject({
  /** The CRI endpoint: `unix:///path`, `fd://` for a socket passed by systemd, or `tcp://host:port`. */
  endpoint: endpoint.default("unix:///run/docker-cri.sock"),
  /** An additional endpoint that serves only the ImageService. `endpoint` serves both services. */
  imageEndpoint: endpoint.optional(),
  /** The file mode of a Unix socket, in octal. A string, because YAML and JSON differ about leading zeros. */
  socketMode: z
    .string('must be a string of octal digits, in quotes: "0660"')
    .regex(/^0?[0-7]{3}$/, 'must be octal digits, such as "0660"')
    .default("0660"),
  /** The group of a Unix socket, by name or GID. The process's group by default. */
  socketGroup: z.string().min(1).optional(),
  /** For a tcp:// endpoint: TLS with client certificates. */
  tls: z
    .strictObject({ certFile: absolutePath, keyFile: absolutePath, clientCaFile: absolutePath })
    .optional(),
  /** Allows a tcp:// endpoint without client certificates on a non-loopback address. Access to it is root access to the node. */
  allowInsecureRemote: z.boolean().default(false),
});

/** The configuration of `docker-cri serve`, from a file or flags: the shim's configuration and the endpoints. */
export const ServeConfigSchema = z.strictObject({
  listen: ListenSchema.prefault({}),
  ...ShimConfigSchema.shape,
});

/** A validated configuration of a server: every key has a value. */
export type ServeConfig = z.output<typeof ServeConfigSchema>;

/** A configuration as the user writes it: every key is optional. */
export type ServeConfigInput = z.input<typeof ServeConfigSchema>;

/**
 * Checks the configuration of a server and fills in the defaults.
 * @param source Where it came from, for the error.
 * @throws ShimError "invalid-argument" naming each key that is wrong.
 */
export function parseServeConfig(input: unknown, source: string): ServeConfig {
  const config = checked(ServeConfigSchema, input, source);
  const problem = problemOf(config.listen);
  if (problem !== undefined) throw new ShimError("invalid-argument", `${source}: ${problem}`);
  return config;
}

/** Conflicts between keys. A key without effect is an error too: either it or the endpoint is wrong. */
function problemOf({ endpoint, imageEndpoint, tls, socketGroup }: ServeConfig["listen"]): string | undefined {
  if (imageEndpoint === endpoint)
    return "listen.imageEndpoint equals listen.endpoint, which serves the ImageService too: leave it out";
  const has = (scheme: string) => [endpoint, imageEndpoint].some((each) => each?.startsWith(scheme));
  if (tls && !has("tcp:")) return "listen.tls needs a tcp:// endpoint, and there is none";
  if (socketGroup !== undefined && !has("unix:"))
    return "listen.socketGroup needs a unix:// endpoint, and there is none; for fd://, set SocketGroup= in the systemd socket unit";
  return undefined;
}
