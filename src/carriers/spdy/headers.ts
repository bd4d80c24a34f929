import { constants, createInflate } from "node:zlib";
import { headerDictionary } from "./dictionary.js";
import { SpdyError } from "./frames.js";

/** The headers of a stream; names are in lower case. */
export type Headers = ReadonlyMap<string, string>;

const maxHeaderBytes = 64 * 1024;
const maxHeaders = 100;

/** Reads the header blocks of one direction of a connection, one after the other: they share a compression context. */
export class HeaderDecoder {
  private readonly inflate = createInflate({
    dictionary: headerDictionary,
    flush: constants.Z_SYNC_FLUSH,
    chunkSize: 4_096,
  });
  private parts: Buffer[] = [];
  private bytes = 0;
  private fail: (error: Error) => void = () => undefined;

  constructor() {
    // The callback of a write does not report errors.
    this.inflate.on("error", (cause) => {
      this.fail(new SpdyError(`a header block cannot be read: ${cause.message}`, { cause }));
    });
    this.inflate.on("data", (part: Buffer) => {
      this.bytes += part.length;
      if (this.bytes <= maxHeaderBytes) this.parts.push(part);
      else {
        this.fail(new SpdyError("a header block is too long"));
        this.close();
      }
    });
  }

  /** @throws SpdyError for an invalid header block, or one of more than 64 KiB or 100 headers. */
  async decode(block: Buffer): Promise<Headers> {
    this.parts = [];
    this.bytes = 0;
    await new Promise<void>((resolve, reject) => {
      this.fail = reject;
      this.inflate.write(block, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
    while (this.inflate.read() !== null);
    if (this.bytes > maxHeaderBytes) throw new SpdyError("a header block is too long");
    return parseBlock(Buffer.concat(this.parts));
  }

  close(): void {
    this.fail(new SpdyError("the connection was closed"));
    this.inflate.destroy();
  }
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
