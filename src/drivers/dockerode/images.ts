import type { CallOptions } from "../../base/index.js";
import type {
  DockerImage,
  DockerImageHistory,
  DockerImages,
  DockerImageSummary,
  PullProgress,
  RegistryAuth,
} from "../../docker/index.js";
import { parseJson } from "./body.js";
import { decodeHistory, decodeImage, decodeImageList, decodeProgress } from "./decode/image.js";
import { encodeAuth, encodePull } from "./encode/pull.js";
import { imagePath } from "./encode/request.js";
import type { EngineConnection } from "./engine.js";
import { lines } from "./ndjson.js";

/** Images, over Docker's API. */
export class DockerodeImages implements DockerImages {
  constructor(private readonly engine: EngineConnection) {}

  async list(options?: CallOptions): Promise<DockerImageSummary[]> {
    return await this.engine.call("images.list", options, async (call) =>
      this.engine.json(call, { method: "GET", path: "/images/json" }, decodeImageList),
    );
  }

  async inspect(reference: string, options?: CallOptions): Promise<DockerImage> {
    const operation = "images.inspect";
    const path = imagePath(operation, reference, "json");
    return await this.engine.call(operation, options, async (call) =>
      this.engine.json(call, { method: "GET", path }, decodeImage),
    );
  }

  async history(reference: string, options?: CallOptions): Promise<DockerImageHistory[]> {
    const operation = "images.history";
    const path = imagePath(operation, reference, "history");
    return await this.engine.call(operation, options, async (call) =>
      this.engine.json(call, { method: "GET", path }, decodeHistory),
    );
  }

  async *pull(
    { reference, auth }: { readonly reference: string; readonly auth?: RegistryAuth },
    options?: CallOptions,
  ): AsyncGenerator<PullProgress> {
    const request = {
      method: "POST",
      path: "/images/create",
      query: encodePull(reference),
      headers: { "X-Registry-Auth": encodeAuth(auth) },
    } as const;
    const call = this.engine.open("images.pull", options, Infinity);
    try {
      yield* this.engine.stream(call, request, progressOf);
    } finally {
      call.end();
    }
  }

  async remove(reference: string, options: CallOptions & { readonly force?: boolean } = {}): Promise<void> {
    const operation = "images.remove";
    const path = imagePath(operation, reference);
    const query = { force: options.force === true ? "1" : undefined };
    await this.engine.call(operation, options, async (call) =>
      this.engine.done(call, { method: "DELETE", path, query }),
    );
  }

  async tag(
    reference: string,
    { repository, tag }: { repository: string; tag: string },
    options?: CallOptions,
  ): Promise<void> {
    const operation = "images.tag";
    const path = imagePath(operation, reference, "tag");
    await this.engine.call(operation, options, async (call) =>
      this.engine.done(call, { method: "POST", path, query: { repo: repository, tag } }),
    );
  }
}

async function* progressOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<PullProgress> {
  for await (const line of lines(chunks)) {
    const progress = decodeProgress(parseJson(line));
    if (progress !== undefined) yield progress;
  }
}
