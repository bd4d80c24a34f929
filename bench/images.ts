import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  cribench,
  makeImage,
  packLayer,
  timed,
  withLab,
  writeArchive,
  type Dockerd,
  type EngineName,
} from "../test/docker/lab/index.js";
import { verdict, type Mark } from "./marks.js";
import { median } from "./numbers.js";
import { alone, startOurs, startPeer, type MeasuredShim } from "./shims.js";
import { table } from "./tables.js";

const rpcs = ["ListImages", "ImageStatus"] as const;

/** How many images there are, and the most that docker-cri's median may be, as a part of cri-dockerd's. */
const limits: readonly { readonly images: number; readonly most: number }[] = [
  { images: 5, most: 0.5 },
  { images: 200, most: 0.1 },
  { images: 1_000, most: 0.05 },
];

const calls = 300;
const warmUpCalls = 100;
/** A step ends after this time, for the sake of what is slow. */
const stepSeconds = 8;

/** One RPC with so many images on the node; medians of all rounds, in milliseconds. */
export interface ImageFigure {
  readonly rpc: string;
  readonly images: number;
  readonly oursMs: number;
  readonly theirsMs: number;
  readonly ratio: number;
  /** What the ratio must not pass. */
  readonly most: number;
}

export interface ImageBenchOptions {
  readonly engine: EngineName;
  /** The built command line. */
  readonly program: string;
  /** How often each shim has its turn. */
  readonly rounds: number;
}

/** Measures ListImages and ImageStatus of docker-cri and cri-dockerd in turn, on one dockerd with more and more images. */
export async function measureImages(options: ImageBenchOptions): Promise<ImageFigure[]> {
  const folder = await mkdtemp(join(tmpdir(), "docker-cri-bench-images-"));
  try {
    return await withLab(async (lab) => {
      const dockerd = await lab.dockerd({ name: "bench-images", engine: options.engine });
      const peer = await startPeer(lab, dockerd);
      const ours = await startOurs(lab, dockerd, options.program);
      // Busybox and pause are there.
      let made = 2;
      const figures: ImageFigure[] = [];
      for (const { images, most } of limits) {
        await timed(`making ${images - made} images`, () => load(dockerd, folder, made, images));
        made = images;
        figures.push(...(await measureCount({ ours, peer, images, most, rounds: options.rounds })));
      }
      return figures;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The figures as markdown. */
export function imagesMarkdown(figures: readonly ImageFigure[]): string {
  const rows = figures.map((figure) => [
    figure.rpc,
    String(figure.images),
    `${figure.oursMs.toFixed(2)} / ${figure.theirsMs.toFixed(2)}`,
    figure.ratio.toFixed(3),
    verdict(markOf(figure)),
  ]);
  return `### Images: docker-cri / cri-dockerd\n\n${table(["RPC", "images", "p50 ms", "ratio", "target"], rows)}`;
}

/** What must hold of the figures. */
export function imagesMarks(figures: readonly ImageFigure[]): Mark[] {
  return figures.map(markOf);
}

function markOf({ rpc, images, ratio, most }: ImageFigure): Mark {
  return { what: `${rpc} with ${images} images`, value: ratio, most };
}

async function measureCount(setting: {
  readonly ours: MeasuredShim;
  readonly peer: MeasuredShim;
  readonly images: number;
  readonly most: number;
  readonly rounds: number;
}): Promise<ImageFigure[]> {
  const { ours, peer, images, most, rounds } = setting;
  const shims = [peer, ours];
  const taken = new Map(
    shims.map((shim) => [shim, new Map(rpcs.map((rpc) => [rpc as string, [] as number[]]))]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const shim of shims) {
      const results = await alone(shim, shims, () => takeTurn(shim, images));
      for (const { rpc, p50Ms } of results) taken.get(shim)?.get(rpc)?.push(p50Ms);
    }
  }
  return rpcs.map((rpc) => {
    const oursMs = median(taken.get(ours)?.get(rpc) ?? []);
    const theirsMs = median(taken.get(peer)?.get(rpc) ?? []);
    return { rpc, images, oursMs, theirsMs, ratio: oursMs / theirsMs, most };
  });
}

async function takeTurn(shim: MeasuredShim, images: number) {
  const steps = rpcs.map((rpc) => ({ rpc, calls, seconds: stepSeconds, warmup: warmUpCalls }));
  const results = await cribench(shim.endpoint, steps);
  for (const { rpc, errors, firstError, maxItems } of results) {
    if (errors > 0) throw new Error(`${shim.name}, ${rpc}: ${errors} errors: ${firstError ?? ""}`);
    if (rpc === "ListImages" && maxItems !== images)
      throw new Error(`${shim.name} lists ${maxItems} images, not ${images}`);
  }
  return results;
}

/** Loads images of one layer, each with a configuration of its own, as Docker's list is long and its disk small. */
async function load(dockerd: Dockerd, folder: string, from: number, to: number): Promise<void> {
  const work = join(folder, String(to));
  const tree = join(work, "tree");
  await mkdir(tree, { recursive: true });
  await writeFile(join(tree, "content"), "content");
  const layer = await packLayer(tree, work);
  const images = Array.from({ length: to - from }, (_, at) =>
    makeImage([`bench/image-${from + at}:1`], [layer], {
      Cmd: ["/content"],
      Labels: { at: String(from + at) },
    }),
  );
  const archive = join(work, "archive.tar");
  await writeArchive(images, join(work, "archive"), archive);
  await dockerd.docker(["load", "--quiet", "--input", archive], { timeoutMs: 300_000 });
  await new Promise((resolve) => setTimeout(resolve, 5_000));
}
