/** A frame that a peer has sent. Data comes in pieces of any size: `fin` is on the last of its frame. */
export type Frame =
  | {
      readonly type: "syn-stream" | "syn-reply" | "headers";
      readonly id: number;
      readonly fin: boolean;
      readonly block: Buffer;
    }
  | { readonly type: "data"; readonly id: number; readonly fin: boolean; readonly data: Buffer }
  | { readonly type: "reset"; readonly id: number }
  | { readonly type: "ping"; readonly id: number }
  | { readonly type: "goaway" };

/** The peer violates SPDY/3.1, or exceeds a limit. */
export class SpdyError extends Error {
  override readonly name = "SpdyError";
}

const headBytes = 8;
const controlBit = 0x8000_0000;
const version = 3;
const finFlag = 0x01;
/** Kubernetes' header blocks have some hundred bytes. */
const maxControlBytes = 32 * 1024;

const types = { synStream: 1, synReply: 2, reset: 3, ping: 6, goaway: 7, headers: 8 } as const;

/**
 * Parses the frames of a connection. Frames that Kubernetes does not use, such as SETTINGS and WINDOW_UPDATE, are
 * skipped.
 * @throws SpdyError for anything but SPDY/3.1, or a control frame of more than 32 KiB.
 * @see SPDY Protocol Draft 3.1, 2.2 Framing
 */
export async function* readFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  const input = new Input(chunks);
  for (let head = await input.exactly(headBytes); head; head = await input.exactly(headBytes)) {
    const first = head.readUInt32BE(0);
    const fin = (head.readUInt8(4) & finFlag) !== 0;
    const length = head.readUIntBE(5, 3);
    if (first < controlBit) yield* dataFrames(input, first, fin, length);
    else yield* controlFrame(first, fin, await bodyOf(input, first, length));
  }
}

async function* dataFrames(input: Input, id: number, fin: boolean, length: number): AsyncGenerator<Frame> {
  if (id === 0) throw new SpdyError("a data frame is of stream 0");
  if (length === 0) yield { type: "data", id, fin, data: Buffer.alloc(0) };
  for (let left = length; left > 0;) {
    const data = await input.upTo(left);
    if (!data) throw new SpdyError("the connection ended inside a data frame");
    left -= data.length;
    yield { type: "data", id, fin: fin && left === 0, data };
  }
}

async function bodyOf(input: Input, first: number, length: number): Promise<Buffer> {
  if (((first >>> 16) & 0x7fff) !== version) throw new SpdyError("a control frame is not of SPDY/3");
  if (length > maxControlBytes) throw new SpdyError(`a control frame of ${length} bytes is too long`);
  const body = await input.exactly(length);
  if (!body) throw new SpdyError("the connection ended inside a control frame");
  return body;
}

function* controlFrame(first: number, fin: boolean, body: Buffer): Generator<Frame> {
  const type = first & 0xffff;
  switch (type) {
    case types.synStream:
      yield { type: "syn-stream", id: streamId(body, 10), fin, block: body.subarray(10) };
      break;
    case types.synReply:
      yield { type: "syn-reply", id: streamId(body, 4), fin, block: body.subarray(4) };
      break;
    case types.headers:
      yield { type: "headers", id: streamId(body, 4), fin, block: body.subarray(4) };
      break;
    case types.reset:
      yield { type: "reset", id: streamId(body, 8) };
      break;
    case types.ping:
      need(body, 4);
      yield { type: "ping", id: body.readUInt32BE(0) };
      break;
    case types.goaway:
      yield { type: "goaway" };
      break;
    default:
  }
}

function streamId(body: Buffer, least: number): number {
  need(body, least);
  const id = body.readUInt32BE(0) & 0x7fff_ffff;
  if (id === 0) throw new SpdyError("a control frame is of stream 0");
  return id;
}

function need(body: Buffer, bytes: number): void {
  if (body.length < bytes) throw new SpdyError("a control frame is too short");
}

/** Reads pieces of requested sizes from chunks of any size. */
class Input {
  private readonly source: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.source = chunks[Symbol.asyncIterator]();
  }

  /** Undefined when the connection has ended; an incomplete frame is dropped. */
  async exactly(bytes: number): Promise<Buffer | undefined> {
    if (this.rest.length >= bytes) return this.take(bytes);
    const parts = [this.rest];
    for (let have = this.rest.length; have < bytes;) {
      const next = await this.source.next();
      if (next.done) return undefined;
      parts.push(next.value);
      have += next.value.length;
    }
    this.rest = Buffer.concat(parts);
    return this.take(bytes);
  }

  async upTo(bytes: number): Promise<Buffer | undefined> {
    while (this.rest.length === 0) {
      const next = await this.source.next();
      if (next.done) return undefined;
      this.rest = next.value;
    }
    return this.take(Math.min(bytes, this.rest.length));
  }

  private take(bytes: number): Buffer {
    const taken = this.rest.subarray(0, bytes);
    this.rest = this.rest.subarray(bytes);
    return taken;
  }
}

export function synStreamFrame(id: number, block: Buffer): Buffer {
  return control(types.synStream, [u32(id), u32(0), Buffer.alloc(2), block]);
}

export function synReplyFrame(id: number, block: Buffer): Buffer {
  return control(types.synReply, [u32(id), block]);
}

/** @param status The reason: 5 is CANCEL, 3 REFUSED_STREAM. */
export function resetFrame(id: number, status: number): Buffer {
  return control(types.reset, [u32(id), u32(status)]);
}

export function pingFrame(id: number): Buffer {
  return control(types.ping, [u32(id)]);
}

export function goawayFrame(lastId: number): Buffer {
  return control(types.goaway, [u32(lastId), u32(0)]);
}

/** The header of a frame with `length` bytes of data. */
export function dataHead(id: number, length: number, fin: boolean): Buffer {
  const head = Buffer.allocUnsafe(headBytes);
  head.writeUInt32BE(id, 0);
  head.writeUInt32BE(length, 4);
  head.writeUInt8(fin ? finFlag : 0, 4);
  return head;
}

/** The longest data frame. */
export const maxDataBytes = 0xff_ffff;

function control(type: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(controlBit + (version << 16) + type, 0);
  head.writeUInt32BE(body.length, 4);
  return Buffer.concat([head, body]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
