import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type {
  ImageService,
  ListImagesRequest,
  RuntimeService,
  VersionRequest,
} from "../../../src/gen/runtime/v1/api_pb.js";
import type { CallContext, StreamHandler, UnaryHandler } from "../../../src/handlers/index.js";
import { methodsOf, pathOf } from "../../../src/rpc/services.js";
import type { HandlerClass, HandlerOf, HandlerTable } from "../../../src/rpc/table-types.js";

class Version implements UnaryHandler<typeof RuntimeService.method.version> {
  constructor(readonly room: { name: string }) {}
  handle(request: VersionRequest) {
    return { version: request.version };
  }
}

class ListImages implements UnaryHandler<typeof ImageService.method.listImages> {
  handle(_request: ListImagesRequest, _context: CallContext) {
    return Promise.resolve({ images: [{ id: "sha256:1" }] });
  }
}

class Events implements StreamHandler<typeof RuntimeService.method.getContainerEvents> {
  async *handle() {
    yield await Promise.resolve({ containerId: "c1" });
  }
}

class WrongAnswer {
  handle() {
    return Promise.resolve({ version: 5 });
  }
}

/** What the compiler is to take and to refuse; `npm test` type-checks this file. */
const checked = {
  taken: [Version] satisfies [HandlerClass<typeof RuntimeService.method.version>],
  takenStream: Events satisfies HandlerClass<typeof RuntimeService.method.getContainerEvents>,
  // @ts-expect-error A class that answers another method.
  otherMethod: ListImages satisfies HandlerClass<typeof RuntimeService.method.version>,
  // @ts-expect-error A class that streams what is not a stream.
  otherKind: Events satisfies HandlerClass<typeof RuntimeService.method.version>,
  // @ts-expect-error A class whose answer has the wrong type.
  otherAnswer: WrongAnswer satisfies HandlerClass<typeof RuntimeService.method.version>,
  // @ts-expect-error An instance, not a class.
  instance: new ListImages() satisfies HandlerClass<typeof ImageService.method.listImages>,
  // @ts-expect-error A service whose other methods are left out.
  incomplete: { version: Version } satisfies HandlerTable["RuntimeService"],
};

describe("the handler table's types", () => {
  it("let a class with dependencies be made and called", async () => {
    const handler: HandlerOf<typeof RuntimeService.method.version> = new checked.taken[0]({ name: "x" });
    const answer = await handler.handle({ version: "v1" } as VersionRequest, undefined as never);
    assert.equal(answer.version, "v1");
  });

  it("stand for 43 methods with their paths", () => {
    const methods = methodsOf(["RuntimeService", "ImageService"]);
    assert.equal(methods.length, 43);
    assert.ok(methods.map(pathOf).includes("/runtime.v1.ImageService/PullImage"));
    assert.deepEqual(
      methodsOf(["ImageService"]).map((method) => method.name),
      ["ListImages", "StreamImages", "ImageStatus", "PullImage", "RemoveImage", "ImageFsInfo"],
    );
  });
});
