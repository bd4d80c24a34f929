import { constants, inflateRawSync } from "node:zlib";
import { codeOf, messageOf } from "../../base/index.js";
import { headerDictionary } from "./dictionary.js";
import { SpdyError } from "./frames.js";

/** The headers of a stream; names are in lower case. */
export type Headers = ReadonlyMap<string, string>;

const maxHeaderBytes = 64 * 1024;
const maxHeaders = 100;

/** The furthest that deflate looks back. */
const windowBytes = 32 * 1024;

/**
 * Reads the header blocks of one direction of a connection, one after the other: they are one zlib stream. Each block ends
 * with a flush at a byte, so that an inflater of its own can read it, with the text before it as the dictionary. That takes
 * some 20 microseconds; zlib's own stream would go through the thread pool for each block.
 */
export class HeaderDecoder {
  private window = headerDictionary;
  private started = false;

  /** @throws SpdyError for an invalid header block, or one of more than 64 KiB or 100 headers. */
  decode(block: Buffer): Headers {
    const text = this.inflate(this.started ? block : withoutZlibStart(block));
    this.started = true;
    this.window = Buffer.concat([this.window, text]).subarray(-windowBytes);
    return parseBlock(text);
  }

  private inflate(block: Buffer): Buffer {
    try {
      return inflateRawSync(block, {
        dictionary: this.window,
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: maxHeaderBytes,
      });
    } catch (cause) {
      if (codeOf(cause) === "ERR_BUFFER_TOO_LARGE")
        throw new SpdyError("a header block is too long", { cause });
      throw new SpdyError(`a header block cannot be read: ${messageOf(cause)}`, { cause });
    }
  }
}

/** @see RFC 1950, 2.2 Data format: the low half of the first byte is 8 for deflate, and a bit says that a dictionary is used. */
function withoutZlibStart(block: Buffer): Buffer {
  const [method = 0, flags = 0] = block;
  const dictionary = block.subarray(2, zlibStart.length);
  const valid = (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0 && (flags & 0x20) !== 0;
  if (!valid || !dictionary.equals(zlibStart.subarray(2)))
    throw new SpdyError("a header block cannot be read: it does not begin as zlib with SPDY's dictionary");
  return block.subarray(zlibStart.length);
}

function parseBlock(bytes: Buffer): Headers {
  let offset = 0;
  const number = () => {
    if (offset + 4 > bytes.length) throw new SpdyError("a header block is cut short");
    offset += 4;
    return bytes.readUInt32BE(offset - 4);
  };
  const text = () => {
    const length = number();
    if (length > bytes.length - offset) throw new SpdyError("a header block is cut short");
    offset += length;
    return bytes.toString("latin1", offset - length, offset);
  };
  const count = number();
  if (count > maxHeaders) throw new SpdyError(`${count} headers are too many`);
  const headers = new Map<string, string>();
  for (let index = 0; index < count; index++) {
    const name = text().toLowerCase();
    // Several values of a header are separated by a NUL.
    const [value = ""] = text().split("\0", 1);
    headers.set(name, value);
  }
  return headers;
}

/** A zlib header with the dictionary's Adler-32. */
const zlibStart = Buffer.from([0x78, 0x3f, 0xe3, 0xc6, 0xa7, 0xc2]);
const maxStoredBytes = 0xffff;
/** An empty stored block, at which Go's inflater flushes its output. */
const flushMark = Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff]);

/**
 * Writes the header blocks of one direction. They are stored, not compressed, which every inflater supports: a stream
 * has only a hundred bytes of headers, and this needs no compression context.
 * @see RFC 1950; RFC 1951, 3.2.4 Non-compressed blocks
 */
export class HeaderEncoder {
  private started = false;

  encode(headers: Headers): Buffer {
    const parts = [u32(headers.size)];
    for (const pair of headers) {
      for (const text of pair)
        parts.push(u32(Buffer.byteLength(text, "latin1")), Buffer.from(text, "latin1"));
    }
    const content = Buffer.concat(parts);
    if (content.length > maxStoredBytes) throw new SpdyError("the headers are too long");
    const head = Buffer.alloc(5);
    head.writeUInt16LE(content.length, 1);
    head.writeUInt16LE(content.length ^ 0xffff, 3);
    const start = this.started ? [] : [zlibStart];
    this.started = true;
    return Buffer.concat([...start, head, content, flushMark]);
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
