import { createHash, randomBytes, randomInt } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Image } from "../images/image.js";
import { run } from "./command.js";
import { addHosts, removeHosts } from "./hosts.js";
import { installPackages } from "./packages.js";
import { startService, type Service } from "./service.js";

const manifestType = "application/vnd.docker.distribution.manifest.v2+json";

/** How to start a registry. */
export interface RegistryOptions {
  /** A word for log lines and folder names. Default: "registry". */
  readonly name?: string;
  /** Port on 127.0.0.1. Default: a free one; 80 with `hosts`. */
  readonly port?: number;
  /** Names that are to mean this registry, by lines in /etc/hosts, such as "registry.k8s.io". */
  readonly hosts?: readonly string[];
  /** Names and passwords; with them nobody else may pull or push. */
  readonly users?: Readonly<Record<string, string>>;
  /** Where blobs are kept. Default: a folder that goes with the registry. */
  readonly storageFolder?: string;
}

/**
 * Starts a registry on the loopback interface, where Docker needs no TLS.
 * @throws CommandError when its packages cannot be had; Error when it does not serve, as when the port is taken.
 */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  await installPackages("registry");
  const hosts = options.hosts ?? [];
  const port = options.port ?? (hosts.length > 0 ? 80 : await freePort());
  const address = `127.0.0.1:${port}`;
  const service = await startService({
    name: options.name ?? "registry",
    command: "docker-registry",
    args: async (folder) => ["serve", await writeConfig(folder, address, options)],
    ready: async () => await answers(`http://${address}/v2/`),
  });
  const registry = new Registry(service, address, options.users ?? {});
  try {
    if (hosts.length > 0) await addHosts("127.0.0.1", hosts, registry.id);
  } catch (error) {
    await registry.stop();
    throw error;
  }
  return registry;
}

async function writeConfig(folder: string, address: string, options: RegistryOptions): Promise<string> {
  const config: Record<string, unknown> = {
    version: 0.1,
    log: { level: "warn" },
    storage: {
      filesystem: { rootdirectory: options.storageFolder ?? join(folder, "storage") },
      delete: { enabled: true },
    },
    http: { addr: address, secret: randomBytes(16).toString("hex") },
  };
  const users = Object.entries(options.users ?? {});
  if (users.length > 0) {
    const path = join(folder, "htpasswd");
    const lines = users.map(async ([user, password]) =>
      (await run("htpasswd", ["-Bbn", user, password])).stdout.trim(),
    );
    await writeFile(path, `${(await Promise.all(lines)).join("\n")}\n`);
    config["auth"] = { htpasswd: { realm: "lab", path } };
  }
  // JSON is YAML.
  const path = join(folder, "config.yml");
  await writeFile(path, JSON.stringify(config, undefined, 2));
  return path;
}

/** A registry of the lab. */
export class Registry implements AsyncDisposable {
  readonly id = randomBytes(4).toString("hex");
  readonly url: string;

  /** Use `startRegistry`. */
  constructor(
    /** Its process, to be frozen or killed. */
    readonly service: Service,
    /** Host and port, as they stand at the head of an image's name. */
    readonly address: string,
    private readonly users: Readonly<Record<string, string>>,
  ) {
    this.url = `http://${address}`;
  }

  /** The name under which this registry serves what is pushed as `tag`: "127.0.0.1:5000/busybox:1.36". */
  nameOf(tag: string): string {
    const { repository, version } = parse(tag);
    return `${this.address}/${repository}:${version}`;
  }

  /**
   * Puts an image into the registry under each of its tags, or under `tags`, leaving out the host that
   * stands at their head: the hosts that mean this registry share what it has.
   * Answers the manifest's digest, `sha256:…`.
   * @throws Error when the registry refuses.
   */
  async push(image: Image, tags: readonly string[] = image.tags): Promise<string> {
    const manifest = manifestOf(image);
    for (const tag of tags) {
      const { repository, version } = parse(tag);
      await this.#pushBlob(repository, image.id, image.config);
      for (const { gzipDigest, gzipPath } of image.layers)
        await this.#pushBlob(repository, gzipDigest, await readFile(gzipPath));
      await this.#ask("PUT", `/v2/${repository}/manifests/${version}`, manifest, manifestType);
    }
    return digestOf(manifest);
  }

  /** Ends the registry, takes its lines out of /etc/hosts and removes what it kept. May be called again. */
  async stop(): Promise<void> {
    await removeHosts(this.id);
    await this.service.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #pushBlob(repository: string, digest: string, content: Buffer): Promise<void> {
    const present = await this.#fetch("HEAD", `/v2/${repository}/blobs/${digest}`);
    if (present.ok) return;
    const upload = await this.#ask("POST", `/v2/${repository}/blobs/uploads/`);
    const target = new URL(upload.headers.get("location") ?? "", this.url);
    target.searchParams.set("digest", digest);
    await this.#ask("PUT", `${target.pathname}${target.search}`, content, "application/octet-stream");
  }

  async #ask(method: string, path: string, body?: Buffer, type?: string): Promise<Response> {
    const response = await this.#fetch(method, path, body, type);
    const text = await response.text();
    if (!response.ok)
      throw new Error(`${method} ${this.url}${path}: ${response.status} ${text.slice(0, 500)}`);
    return response;
  }

  async #fetch(method: string, path: string, body?: Buffer, type?: string): Promise<Response> {
    const [user] = Object.entries(this.users);
    const headers: Record<string, string> = {};
    if (type !== undefined) headers["content-type"] = type;
    if (user !== undefined)
      headers["authorization"] = `Basic ${Buffer.from(user.join(":")).toString("base64")}`;
    return await fetch(`${this.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    });
  }
}

/** The digest, `sha256:…`, under which a registry of the lab serves an image. */
export function manifestDigest(image: Image): string {
  return digestOf(manifestOf(image));
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

function manifestOf(image: Image): Buffer {
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: {
      mediaType: "application/vnd.docker.container.image.v1+json",
      size: image.config.length,
      digest: image.id,
    },
    layers: image.layers.map(({ gzipSizeBytes, gzipDigest }) => ({
      mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
      size: gzipSizeBytes,
      digest: gzipDigest,
    })),
  };
  return Buffer.from(JSON.stringify(manifest));
}

/** Splits a tag; without a host it is Docker Hub's, where a name of one part is in "library". */
function parse(tag: string): { readonly repository: string; readonly version: string } {
  const [, name = tag, version = "latest"] = /^(.*?)(?::([^:/]+))?$/.exec(tag) ?? [];
  const [first = "", ...rest] = name.split("/");
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const repository = hasHost ? rest.join("/") : rest.length === 0 ? `library/${name}` : name;
  return { repository, version };
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
  await response?.arrayBuffer();
  return response?.status === 200 || response?.status === 401;
}

/**
 * A TCP port of 127.0.0.1 that nobody listens on now. It is none that the kernel gives to connections: one of those may
 * have it when the server starts, or starts anew.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(13_000, 18_000);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer().once("error", () => {
      resolve(false);
    });
    server.listen(port, "127.0.0.1", () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
