import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ShimError } from "../../../../src/base/index.js";
import type { DockerService } from "../../../../src/docker/index.js";
import { collect, eventually, rawEngine, someId } from "./fake-engine.js";

const options = { deadlineMs: 60 };

/** A call of each way in which the driver reads answers. */
const calls: Readonly<Record<string, (service: DockerService) => Promise<unknown>>> = {
  json: (service) => service.containers.inspect("a", options),
  list: (service) => service.images.list(options),
  done: (service) => service.containers.stop("a", { graceSeconds: 0, ...options }),
  head: (service) => service.containers.resolveMounts("a", options),
  create: (service) => service.containers.create({ name: "a", config: {}, host: {} }, options),
  logs: (service) => collect(service.containers.logs("a", { follow: true, ...options })),
  pull: (service) => collect(service.images.pull({ reference: "a" }, options)),
  export: (service) => collect(service.containers.export("a", options)),
  events: (service) => {
    const signal = AbortSignal.timeout(60);
    return collect(service.events.subscribe({ signal, ...options }));
  },
  exec: async (service) => {
    const stream = await service.execs.start(someId, { tty: false, ...options });
    setTimeout(() => {
      stream.destroy(new ShimError("cancelled", "enough"));
    }, 60);
    await stream.write(Buffer.from("in"));
    return await collect(stream.output);
  },
};

const heads = [
  "HTTP/1.1 200 OK\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
  "HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\n",
  "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 304 Not Modified\r\n\r\n",
  "HTTP/0.9 ",
  "",
];

const bodies = fc.oneof(
  fc.constantFrom(
    '{"Id":',
    "[null]",
    '{"errorDetail":{}}\n',
    "\u0001\u0000\u0000\u0000\u0000\u0000\u0000\u0003ab",
  ),
  fc.json(),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
);

describe("whatever bytes an engine sends", () => {
  for (const [name, call] of Object.entries(calls))
    it(`${name} ends with a value or a clear error, and every socket is closed`, async (t) => {
      let answer: { head: string; body: string; end: boolean } = { head: "", body: "", end: true };
      const engine = await rawEngine(t, (socket) => {
        const bytes = Buffer.from(answer.head + answer.body, "latin1");
        if (answer.end) socket.end(bytes);
        else socket.write(bytes);
      });
      const answers = fc.record({ head: fc.constantFrom(...heads), body: bodies, end: fc.boolean() });
      await fc.assert(
        fc.asyncProperty(answers, async (next) => {
          answer = next;
          await call(engine.service).catch((error: unknown) => {
            assert.ok(error instanceof ShimError, String(error));
            assert.ok(error.message.length > 0);
          });
        }),
        { numRuns: 40 },
      );
      await engine.service.close();
      await eventually(() => engine.openConnections() === 0, "every socket is closed");
    });
});
