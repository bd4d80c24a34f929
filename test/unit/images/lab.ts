import "reflect-metadata";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pino } from "pino";
import { parseConfig, type ShimConfigInput } from "../../../src/config/index.js";
import type { DockerInfo } from "../../../src/docker/index.js";
import {
  createMemoryDocker,
  type MemoryDocker,
  type MemoryImage,
} from "../../../src/drivers/memory/index.js";
import { AuthConfigSchema, ImageSpecSchema, type ImageSpec } from "../../../src/gen/runtime/v1/api_pb.js";
import { Images } from "../../../src/images/index.js";
import { Inventory } from "../../../src/inventory/index.js";

export const pauseImage = "registry.k8s.io/pause:3.10";

/** A line of the log. */
export interface Line {
  readonly msg: string;
  readonly level: number;
  readonly [key: string]: unknown;
}

/** The images' room over a memory engine, and what it logged. */
export interface ImagesLab extends AsyncDisposable {
  readonly engine: MemoryDocker;
  readonly inventory: Inventory;
  readonly images: Images;
  readonly lines: Line[];
}

export interface LabOptions {
  readonly images?: readonly (string | MemoryImage)[];
  readonly config?: ShimConfigInput;
  /** What the engine says of itself, where the memory engine would say otherwise. */
  readonly info?: Partial<DockerInfo>;
}

export async function openImages({
  images = [],
  config = {},
  info = {},
}: LabOptions = {}): Promise<ImagesLab> {
  const engine = createMemoryDocker({ images: [pauseImage, ...images] });
  const lines: Line[] = [];
  const sink = { write: (line: string) => lines.push(JSON.parse(line) as Line) };
  const log = pino({ level: "debug" }, sink);
  const parsed = parseConfig({ engine: { kind: "memory" }, ...config });
  const docker = engine.connect();
  const askInfo = docker.system.info.bind(docker.system);
  docker.system.info = async (options) => ({ ...(await askInfo(options)), ...info });
  const inventory = new Inventory(docker, engine.host, parsed, log);
  inventory.start();
  await inventory.whenReady({ deadlineMs: 5_000 });
  return {
    engine,
    inventory,
    images: new Images(docker, engine.host, inventory, parsed, log),
    lines,
    async [Symbol.asyncDispose]() {
      engine.faults.clear();
      await inventory.close();
      await docker.close();
      await engine.close();
    },
  };
}

export function spec(image: string, more: { readonly runtimeHandler?: string } = {}): ImageSpec {
  return create(ImageSpecSchema, { image, ...more });
}

export function auth(fields: MessageInitShape<typeof AuthConfigSchema>) {
  return create(AuthConfigSchema, fields);
}

/** A signal of a caller who stays. */
export function staying(): AbortSignal {
  return new AbortController().signal;
}
