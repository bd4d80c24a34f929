import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { createClients } from "../../src/client/index.js";
import { createShim, type Shim } from "../../src/composition/index.js";
import type { AuthConfigSchema } from "../../src/gen/runtime/v1/api_pb.js";
import {
  makeImage,
  openLab,
  packLayer,
  type Dockerd,
  type Image,
  type Lab,
  type Registry,
} from "./lab/index.js";
import { startTokenRegistry, type TokenRegistry } from "./token-registry.js";

/** After so long without progress a pull is ended in these tests. */
export const deadlineMs = 3_000;
export const kib = 1024;

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

  /** The path of an image's layer at a registry. */
  layerPath(name: string): RegExp {
    return new RegExp(`/v2/lab/${name}/blobs/${this.images.get(name)?.layers[0]?.gzipDigest ?? "none"}`);
  }
}

/** A shim on an engine, and the calls that the tests make. */
export class Node {
  readonly images;
  readonly shim: Shim;

  constructor(
    shim: Shim,
    readonly dockerd: Dockerd,
    readonly lines: readonly Record<string, unknown>[],
  ) {
    this.shim = shim;
    this.images = createClients(shim.inProcessTransport()).images;
  }

  static async start(world: World, dockerd: Dockerd, pullDeadlineMs = deadlineMs): Promise<Node> {
    const lines: Record<string, unknown>[] = [];
    const write = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>);
    const shim = await createShim({
      engine: { kind: "docker", endpoint: dockerd.endpoint },
      network: { plugin: "none" },
      rootDirectory: await mkdtemp(join(world.folder, "root-")),
      imagePullProgressDeadlineMs: pullDeadlineMs,
      log: pino({ level: "debug" }, { write }),
    });
    world.lab.defer("the shim", () => shim.close());
    await shim.start();
    return new Node(shim, dockerd, lines);
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
