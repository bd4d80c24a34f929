import * as z from "zod";
import { isKind, messageOf, type ImageReference, type Logger } from "../base/index.js";
import { dockerClientSettings, type DockerClientSettings } from "../config/index.js";
import type { RegistryAuth } from "../docker/index.js";
import type { Host } from "../host/index.js";
import { compact, decodeLogin } from "./auth.js";
import { parseServer, registryHost, serverCovers } from "./registry-host.js";

const helperDeadlineMs = 15_000;
const longestAnswerBytes = 1024 * 1024;
const hubServer = "https://index.docker.io/v1/";
/** The username with which a helper marks its secret as an identity token. */
const tokenUser = "<token>";

const text = z.string().catch("");
const Entry = z.object({
  auth: text,
  username: text,
  password: text,
  identitytoken: text,
  registrytoken: text,
});
type Entry = z.output<typeof Entry>;

const emptyEntry: Entry = { auth: "", username: "", password: "", identitytoken: "", registrytoken: "" };

const DockerConfigFile = z.object({
  auths: z.record(z.string(), Entry.catch(emptyEntry)).catch({}),
  credHelpers: z.record(z.string(), text).catch({}),
  credsStore: text,
});
type DockerConfigFile = z.output<typeof DockerConfigFile>;

const HelperAnswer = z.object({ Username: z.string(), Secret: z.string().min(1) });

/**
 * The logins of Docker's client on this node: the `auths` of its configuration and its credential helpers. An unreadable
 * configuration or a failing helper is logged and counts as no login.
 * @see Docker CLI, "docker login": credential stores, credential helpers
 */
export class NodeCredentials {
  private lastWarning = "";

  constructor(
    private readonly host: Host,
    private readonly log: Logger,
    private readonly settings: () => DockerClientSettings = dockerClientSettings,
  ) {}

  /** The logins for an image's repository, the most specific first. */
  async find(reference: ImageReference, signal: AbortSignal): Promise<RegistryAuth[]> {
    const settings = this.settings();
    const config = await this.read(settings.configFile);
    if (!config) return [];
    const found = await this.fromHelpers(config, reference, settings, signal);
    const covering = Object.entries(config.auths)
      .filter(([server]) => serverCovers(server, reference))
      .sort(([a], [b]) => rank(b) - rank(a));
    for (const [server, entry] of covering) {
      const auth = this.fromEntry(server, entry);
      if (auth) found.push(auth);
    }
    return found;
  }

  private async read(file: string): Promise<DockerConfigFile | undefined> {
    let content: string;
    try {
      content = (await this.host.files.read(file)).toString("utf8");
    } catch (error) {
      if (codeOf(error) !== "ENOENT" && codeOf(error) !== "ENOTDIR") this.warnOnce(file, messageOf(error));
      return undefined;
    }
    try {
      return DockerConfigFile.parse(JSON.parse(content));
    } catch {
      // Without the parser's message, which quotes the file.
      this.warnOnce(file, "it is not the JSON of a Docker configuration");
      return undefined;
    }
  }

  /** Logs a problem once, because kubelet retries pulls. */
  private warnOnce(file: string, problem: string): void {
    const warning = `${file}: ${problem}`;
    if (this.lastWarning === warning) return;
    this.lastWarning = warning;
    this.log.warn({ file, err: problem }, "could not read the node's Docker logins: pulling without them");
  }

  private async fromHelpers(
    config: DockerConfigFile,
    reference: ImageReference,
    settings: DockerClientSettings,
    signal: AbortSignal,
  ): Promise<RegistryAuth[]> {
    const own = Object.entries(config.credHelpers).find(
      ([server]) => registryHost(server) === registryHost(reference.registry),
    );
    const helper = own?.[1] ?? config.credsStore;
    if (helper === "") return [];
    const host = registryHost(reference.registry);
    const server = own?.[0] ?? (host === "docker.io" ? hubServer : host);
    const auth = await this.runHelper(helper, server, settings, signal);
    return auth ? [auth] : [];
  }

  private async runHelper(
    helper: string,
    server: string,
    settings: DockerClientSettings,
    signal: AbortSignal,
  ): Promise<RegistryAuth | undefined> {
    const fail = (err: string): RegistryAuth | undefined => {
      this.log.warn({ helper, server, err }, "a Docker credential helper returned no login");
      return undefined;
    };
    if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(helper)) return fail("not a valid helper name");
    try {
      const { exitCode, stdout } = await this.host.processes.run({
        file: `docker-credential-${helper}`,
        args: ["get"],
        env: settings.environment,
        input: server,
        deadlineMs: helperDeadlineMs,
        maxOutputBytes: longestAnswerBytes,
        signal,
      });
      const answer = stdout.toString("utf8");
      if (exitCode !== 0) {
        // Not a failure: the helper has no login for the server.
        if (/credentials not found/i.test(answer)) return undefined;
        return fail(`it exited with code ${exitCode}`);
      }
      const { Username: username, Secret: secret } = HelperAnswer.parse(JSON.parse(answer));
      return username === tokenUser
        ? { identityToken: secret, serverAddress: server }
        : compact({ username, password: secret, serverAddress: server });
    } catch (error) {
      if (isKind(error, "cancelled")) throw error;
      return fail(
        isKind(error, "deadline-exceeded", "not-found") ? error.message : "its output is not valid",
      );
    }
  }

  private fromEntry(server: string, entry: Entry): RegistryAuth | undefined {
    const login = entry.auth === "" ? undefined : decodeLogin(entry.auth);
    if (entry.auth !== "" && !login) {
      this.warnOnce(server, "its auth is not base64 of user:password");
      return undefined;
    }
    const auth = compact({
      username: login?.username ?? entry.username,
      password: login?.password ?? entry.password,
      identityToken: entry.identitytoken,
      registryToken: entry.registrytoken,
    });
    return Object.keys(auth).length === 0 ? undefined : { ...auth, serverAddress: server };
  }
}

/** Specificity: a longer path ranks higher, and a host without `*` above one with it. */
function rank(server: string): number {
  const { host, path } = parseServer(server);
  return path.length * 2 + (host.includes("*") ? 0 : 1);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
