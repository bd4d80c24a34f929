import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { createClients } from "../../src/client/index.js";
import { createShim, type Shim, type ShimOptions } from "../../src/composition/index.js";
import { NamespaceMode, type AuthConfigSchema } from "../../src/gen/runtime/v1/api_pb.js";
import { imageArchitecture } from "./images/image.js";
import {
  makeImage,
  openLab,
  packLayer,
  run,
  type Dockerd,
  type DockerdOptions,
  type Image,
  type Lab,
  type Registry,
} from "./lab/index.js";
import { startTokenRegistry, type TokenRegistry } from "./token-registry.js";

/** After so long without progress a pull is ended in these tests. */
export const deadlineMs = 3_000;
export const kib = 1024;

/** Each way in which Docker keeps images. */
export const engines: readonly { readonly name: string; readonly options: DockerdOptions }[] = [
  { name: "Docker 20.10", options: { engine: "20.10" } },
  { name: "Docker 26.1", options: { engine: "26.1" } },
  { name: "Docker 26.1 with containerd's store", options: { engine: "26.1", containerdStore: true } },
];

export type Auth = MessageInitShape<typeof AuthConfigSchema>;

/** Everything that the three engines share: registries, and the images in them. */
export class World {
  readonly images = new Map<string, Image>();
  readonly digests = new Map<string, string>();
  private constructor(
    readonly lab: Lab,
    readonly folder: string,
    readonly plain: Registry,
    readonly locked: Registry,
    readonly token: TokenRegistry,
  ) {}

  static async open(): Promise<World> {
    const lab = openLab();
    const folder = await mkdtemp(join(tmpdir(), "docker-cri-images-"));
    lab.defer("the images' folder", () => rm(folder, { recursive: true, force: true }));
    const storageFolder = join(folder, "storage");
    const plain = await lab.registry({ storageFolder });
    const locked = await lab.registry({ name: "locked", storageFolder, users: { joe: "right" } });
    const token = await startTokenRegistry(lab, storageFolder, join(folder, "token"));
    return new World(lab, folder, plain, locked, token);
  }

  /** Publishes an image whose topmost layer nobody else has; `below` names an image whose layers it stands on. */
  async publish(name: string, sizeBytes: number, below?: string): Promise<void> {
    const work = join(this.folder, name);
    await mkdir(join(work, "tree"), { recursive: true });
    await writeFile(join(work, "tree", `content-${name}`), randomBytes(sizeBytes));
    const layers = [
      ...(this.images.get(below ?? "")?.layers ?? []),
      await packLayer(join(work, "tree"), work),
    ];
    const config = { Cmd: [`/content-${name}`], User: "1002:5" };
    const image = makeImage([`lab/${name}:1`], layers, config);
    this.images.set(name, image);
    this.digests.set(name, await this.plain.push(image));
  }

  /** Publishes `of` as an image of two platforms, this machine's and one that Docker will not take. */
  async publishIndex(name: string, of: string, foreign: string): Promise<void> {
    const url = `${this.plain.url}/v2/lab/${name}/manifests`;
    const platforms = { [of]: imageArchitecture(), [foreign]: "s390x" };
    const manifests = [];
    for (const [each, architecture] of Object.entries(platforms)) {
      const image: Image = this.images.get(each) ?? assert.fail(`${each} is not published`);
      const digest = await this.plain.push(image, [`lab/${name}:${architecture}`]);
      const accept = "application/vnd.docker.distribution.manifest.v2+json";
      const answer = await fetch(`${url}/${digest}`, { headers: { accept } });
      const size = (await answer.arrayBuffer()).byteLength;
      manifests.push({ mediaType: accept, digest, size, platform: { architecture, os: "linux" } });
    }
    const mediaType = "application/vnd.docker.distribution.manifest.list.v2+json";
    const body = JSON.stringify({ schemaVersion: 2, mediaType, manifests });
    const headers = { "content-type": mediaType };
    const answer = await fetch(`${url}/1`, { method: "PUT", headers, body });
    assert.equal(answer.status, 201);
    this.digests.set(name, answer.headers.get("docker-content-digest") ?? "");
  }

  /** A folder with a configuration of Docker's client. @param logins `user:password` by registry. */
  async clientConfig(logins: Readonly<Record<string, string>>): Promise<string> {
    const folder = await mkdtemp(join(this.folder, "client-"));
    const auths = Object.entries(logins).map(
      ([server, login]) => [server, { auth: Buffer.from(login).toString("base64") }] as const,
    );
    await writeFile(join(folder, "config.json"), JSON.stringify({ auths: Object.fromEntries(auths) }));
    return folder;
  }

  /** A file system of its own, for an engine's data. @returns Where it is mounted. */
  async disk(name: string, size: string): Promise<string> {
    const file = join(this.folder, `${name}.disk`);
    const root = join(this.folder, `${name}-root`);
    await mkdir(root);
    await run("truncate", ["-s", size, file]);
    await run("mkfs.ext4", ["-q", file]);
    await run("mount", ["-o", "loop", file, root]);
    this.lab.defer(`the disk ${name}`, async () => {
      await run("umount", ["--lazy", root], { allowFailure: true });
    });
    return root;
  }

  /** The path of an image's layer at a registry. */
  layerPath(name: string): RegExp {
    return new RegExp(`/v2/lab/${name}/blobs/${this.images.get(name)?.layers[0]?.gzipDigest ?? "none"}`);
  }
}

/** A shim on an engine, and the calls that the tests make. */
export class Node {
  readonly images;
  readonly runtime;

  constructor(
    readonly shim: Shim,
    readonly dockerd: Dockerd,
    readonly lines: readonly Record<string, unknown>[],
  ) {
    const { images, runtime } = createClients(shim.inProcessTransport());
    this.images = images;
    this.runtime = runtime;
  }

  static async start(
    world: World,
    dockerd: Dockerd,
    config: Omit<ShimOptions, "engine" | "log"> = {},
  ): Promise<Node> {
    const lines: Record<string, unknown>[] = [];
    const write = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>);
    const shim = await createShim({
      engine: { kind: "docker", endpoint: dockerd.endpoint },
      network: { plugin: "none" },
      rootDirectory: await mkdtemp(join(world.folder, "root-")),
      restrictOomScoreAdj: true,
      imagePullProgressDeadlineMs: deadlineMs,
      ...config,
      log: pino({ level: "debug" }, { write }),
    });
    world.lab.defer("the shim", () => shim.close());
    await shim.start();
    return new Node(shim, dockerd, lines);
  }

  /** Makes a pod, and in it a container of the image, which is not started. @returns The container's status. */
  async use(image: string) {
    const name = `uses-${randomBytes(3).toString("hex")}`;
    const namespaceOptions = { network: NamespaceMode.NODE };
    const sandboxConfig = {
      metadata: { name, uid: name, namespace: "images", attempt: 0 },
      linux: { securityContext: { namespaceOptions } },
    };
    const { podSandboxId } = await this.runtime.runPodSandbox({ config: sandboxConfig });
    const config = { metadata: { name: "app", attempt: 0 }, image: { image } };
    const { containerId } = await this.runtime.createContainer({ podSandboxId, config, sandboxConfig });
    const { status } = await this.runtime.containerStatus({ containerId });
    return status ?? assert.fail("the container has no status");
  }

  async pull(image: string, auth?: Auth, signal?: AbortSignal): Promise<string> {
    const request = { image: { image }, ...(auth ? { auth } : {}) };
    return (await this.images.pullImage(request, { timeoutMs: 60_000, ...(signal ? { signal } : {}) }))
      .imageRef;
  }

  async status(image: string) {
    return (await this.images.imageStatus({ image: { image } })).image;
  }

  async remove(image: string): Promise<void> {
    await this.images.removeImage({ image: { image } });
  }

  /** The code and text of a pull that must fail, and how long it took. */
  async refusal(image: string, auth?: Auth): Promise<{ code: Code; text: string; ms: number }> {
    const began = performance.now();
    try {
      await this.pull(image, auth);
    } catch (error) {
      const { code, rawMessage: text } = ConnectError.from(error);
      return { code, text, ms: performance.now() - began };
    }
    return assert.fail(`${image} was pulled`);
  }

  async usedBytes(): Promise<bigint> {
    const { imageFilesystems } = await this.images.imageFsInfo({});
    return imageFilesystems[0]?.usedBytes?.value ?? 0n;
  }
}
