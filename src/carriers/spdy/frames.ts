import type { ChunkParser } from "../../base/index.js";

export type ControlFrame =
  | {
      readonly type: "syn-stream" | "syn-reply" | "headers";
      readonly id: number;
      readonly fin: boolean;
      readonly block: Buffer;
    }
  | { readonly type: "reset"; readonly id: number }
  | { readonly type: "ping"; readonly id: number }
  | { readonly type: "goaway" };

/** A frame that a peer has sent. Data comes in pieces of any size: `fin` is on the last of its frame. */
export type Frame =
  ControlFrame | { readonly type: "data"; readonly id: number; readonly fin: boolean; readonly data: Buffer };

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
 * skipped. Throws SpdyError for anything but SPDY/3.1, or a control frame of more than 32 KiB.
 * @see SPDY Protocol Draft 3.1, 2.2 Framing
 */
export class FrameParser implements ChunkParser<Frame> {
  private readonly head = Buffer.alloc(headBytes);
  private headFilled = 0;
  /** The stream of a data frame, or the version and type of a control frame. */
  private first = 0;
  private fin = false;
  /** What is missing of a data frame. */
  private dataLeft = 0;
  /** The control frame that is being received. */
  private body: Buffer | undefined;
  private bodyFilled = 0;

  *parse(chunk: Buffer): Generator<Frame> {
    for (let at = 0; at < chunk.length;) {
      if (this.dataLeft > 0) {
        const data = chunk.subarray(at, at + this.dataLeft);
        at += data.length;
        this.dataLeft -= data.length;
        yield { type: "data", id: this.first, fin: this.fin && this.dataLeft === 0, data };
      } else if (this.body) {
        const copied = chunk.copy(this.body, this.bodyFilled, at);
        at += copied;
        this.bodyFilled += copied;
        if (this.bodyFilled === this.body.length) yield* this.endControl(this.body);
      } else {
        const copied = chunk.copy(this.head, this.headFilled, at);
        at += copied;
        this.headFilled += copied;
        if (this.headFilled === headBytes) yield* this.begin();
      }
    }
  }

  /** A connection may end inside a frame's head, which is dropped. */
  end(): void {
    if (this.dataLeft > 0) throw new SpdyError("the connection ended inside a data frame");
    if (this.body) throw new SpdyError("the connection ended inside a control frame");
  }

  private *begin(): Generator<Frame> {
    const length = this.head.readUIntBE(5, 3);
    this.headFilled = 0;
    this.first = this.head.readUInt32BE(0);
    this.fin = (this.head.readUInt8(4) & finFlag) !== 0;
    if (this.first < controlBit) {
      if (this.first === 0) throw new SpdyError("a data frame is of stream 0");
      this.dataLeft = length;
      if (length === 0) yield { type: "data", id: this.first, fin: this.fin, data: Buffer.alloc(0) };
      return;
    }
    if (((this.first >>> 16) & 0x7fff) !== version) throw new SpdyError("a control frame is not of SPDY/3");
    if (length > maxControlBytes) throw new SpdyError(`a control frame of ${length} bytes is too long`);
    this.body = Buffer.alloc(length);
    this.bodyFilled = 0;
    if (length === 0) yield* this.endControl(this.body);
  }

  private *endControl(body: Buffer): Generator<Frame> {
    this.body = undefined;
    yield* controlFrame(this.first, this.fin, body);
  }
}

function* controlFrame(first: number, fin: boolean, body: Buffer): Generator<ControlFrame> {
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
