import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { constants, createDeflate, deflateSync } from "node:zlib";
import { SpdyConnection, type SpdyStream } from "../../../src/carriers/index.js";
import { headerDictionary } from "../../../src/carriers/spdy/dictionary.js";
import { dataHead, pingFrame, synReplyFrame, synStreamFrame } from "../../../src/carriers/spdy/frames.js";
import { HeaderDecoder, HeaderEncoder } from "../../../src/carriers/spdy/headers.js";

/** Compresses as Go's zlib does: one stream for all blocks, each flushed. */
function compressor() {
  const deflate = createDeflate({ dictionary: headerDictionary, flush: constants.Z_SYNC_FLUSH });
  return (plain: Buffer) =>
    new Promise<Buffer>((resolve) => {
      const parts: Buffer[] = [];
      const onData = (part: Buffer) => parts.push(part);
      deflate.on("data", onData);
      deflate.write(plain, () => {
        while (deflate.read() !== null);
        deflate.off("data", onData);
        resolve(Buffer.concat(parts));
      });
    });
}

function plainBlock(headers: readonly (readonly [string, string])[]): Buffer {
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const parts = headers.flat().flatMap((text) => [u32(text.length), Buffer.from(text)]);
  return Buffer.concat([u32(headers.length), ...parts]);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(5);
}

interface Served {
  readonly client: SpdyConnection;
  readonly server: SpdyConnection;
  /** The client's end, for raw bytes. */
  readonly raw: Duplex;
  readonly streams: SpdyStream[];
}

function served(options: { readonly maxStreams?: number; readonly rawClient?: boolean } = {}): Served {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const raw = Duplex.from({ readable: back, writable: there });
  raw.on("error", () => undefined);
  const streams: SpdyStream[] = [];
  const server = new SpdyConnection(Duplex.from({ readable: there, writable: back }), {
    role: "server",
    maxStreams: options.maxStreams,
    onStream: (stream) => {
      streams.push(stream);
      stream.accept();
    },
  });
  const clientEnd = options.rawClient === true ? new PassThrough() : raw;
  return { client: new SpdyConnection(clientEnd, { role: "client" }), server, raw, streams };
}

describe("SPDY header blocks", () => {
  it("have the dictionary of the draft", () => {
    const digest = createHash("sha256").update(headerDictionary).digest("hex");
    assert.equal(digest, "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02");
  });

  it("are read one after another with one compression context", async () => {
    const compress = compressor();
    const decoder = new HeaderDecoder();
    for (const type of ["error", "stdin", "stdout"]) {
      const block = await compress(plainBlock([["Streamtype", type]]));
      assert.deepEqual([...decoder.decode(block)], [["streamtype", type]]);
    }
  });

  it("refer to earlier ones, but to none that is more than 32 KiB back", async () => {
    const compress = compressor();
    const decoder = new HeaderDecoder();
    const values = Array.from({ length: 5 }, () => randomBytes(1_000).toString("hex"));
    for (let index = 0; index < 100; index++) {
      const value = values[index % values.length] ?? "";
      const block = await compress(plainBlock([["name", value]]));
      assert.ok(index < values.length || block.length < 200, `${block.length} bytes`);
      assert.equal(decoder.decode(block).get("name"), value);
    }
  });

  it("are read as they are written here", () => {
    const [encoder, decoder] = [new HeaderEncoder(), new HeaderDecoder()];
    for (let index = 0; index < 3; index++) {
      const headers = new Map([["port", String(index)]]);
      assert.deepEqual(decoder.decode(encoder.encode(headers)), headers);
    }
    assert.deepEqual(decoder.decode(encoder.encode(new Map())), new Map());
  });

  it("are refused when they unfold to more than 64 KiB, are cut short, or are no zlib", async () => {
    const huge = await compressor()(plainBlock([["name", "x".repeat(1_000_000)]]));
    assert.ok(huge.length < 4_096);
    assert.throws(() => new HeaderDecoder().decode(huge), /too long/);
    const lying = plainBlock([["name", "value"]]);
    lying.writeUInt32BE(50, 4);
    const block = await compressor()(lying);
    assert.throws(() => new HeaderDecoder().decode(block), /cut short/);
    for (const bytes of [Buffer.of(), Buffer.from("no zlib"), block.subarray(1), deflateSync(lying)])
      assert.throws(() => new HeaderDecoder().decode(bytes), /cannot be read/);
    const broken = Buffer.concat([block.subarray(0, 6), Buffer.alloc(20, 0xff)]);
    assert.throws(() => new HeaderDecoder().decode(broken), /cannot be read/);
  });
});

describe("a SPDY connection", () => {
  it("carries data both ways, and each half ends by itself", async () => {
    const { client, streams } = served();
    const stream = client.open(new Map([["streamtype", "data"]]));
    await stream.write(Buffer.from("question"));
    stream.end();
    await until(() => streams.length === 1);
    const [theirs] = streams;
    assert.ok(theirs);
    const heard: string[] = [];
    for await (const chunk of theirs.input) heard.push(chunk.toString());
    await theirs.write(Buffer.from("answer"));
    theirs.end();
    for await (const chunk of stream.input) heard.push(chunk.toString());
    assert.deepEqual(heard, ["question", "answer"]);
    client.destroy();
  });

  it("reads all that arrived before the peer closed the connection", async () => {
    const server = createServer((socket) => {
      socket.once("data", () => {
        const [head, encoder] = [dataHead(1, 6, true), new HeaderEncoder()];
        socket.end(Buffer.concat([synReplyFrame(1, encoder.encode(new Map())), head, Buffer.from("status")]));
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const client = new SpdyConnection(socket, { role: "client" });
    const stream = client.open(new Map([["streamtype", "error"]]));
    stream.end();
    let received = "";
    for await (const chunk of stream.input) received += chunk.toString();
    assert.equal(received, "status");
    server.close();
  });

  it("leaves no timer when it is closed after it has ended", async () => {
    const { server, raw } = served({ rawClient: true });
    raw.destroy();
    server.destroy();
    await until(() => server.gone.aborted);
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    await server.close();
    await delay(5);
    assert.ok(timers() <= before);
  });

  it("answers a ping", async () => {
    const { raw, server } = served({ rawClient: true });
    raw.write(pingFrame(1));
    const [reply] = (await once(raw, "data")) as [Buffer];
    assert.deepEqual(reply, pingFrame(1));
    server.destroy();
  });

  it("refuses streams beyond its limit", async () => {
    const { client, streams } = served({ maxStreams: 2 });
    const opened = [1, 2, 3].map(() => client.open(new Map([["streamtype", "data"]])));
    await until(() => opened[2]?.abandoned.aborted === true);
    assert.equal(streams.length, 2);
    assert.deepEqual(
      opened.map(({ abandoned }) => abandoned.aborted),
      [false, false, true],
    );
    client.destroy();
  });

  it("reads no more than 2 MiB ahead of a reader that has stopped", async () => {
    const { raw, streams } = served({ rawClient: true });
    const chunk = Buffer.alloc(64 * 1024);
    raw.write(synStreamFrame(1, new HeaderEncoder().encode(new Map([["streamtype", "data"]]))));
    let written = 0;
    const flood = (async () => {
      while (written < 100) {
        raw.write(dataHead(1, chunk.length, false));
        if (!raw.write(chunk))
          await Promise.race([new Promise((resolve) => raw.once("drain", resolve)), delay(300)]);
        if (raw.writableNeedDrain) return;
        written++;
      }
    })();
    await flood;
    assert.ok(written * chunk.length < 3 * 1024 * 1024, `${written} chunks were taken`);
    assert.equal(streams.length, 1);
    raw.end();
  });

  it("ends when the peer sends no SPDY, and its streams with it", async () => {
    const { server, raw } = served({ rawClient: true });
    raw.write("GET / HTTP/1.1\r\n\r\nXXXXXXXXXXXX");
    await new Promise((resolve) => {
      server.gone.addEventListener("abort", resolve);
      raw.end();
    });
    assert.ok(server.gone.reason instanceof Error);
  });
});
