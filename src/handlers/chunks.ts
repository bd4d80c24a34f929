import { setImmediate as turn } from "node:timers/promises";
import { toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { encodingMemo } from "../base/index.js";

/** A quarter of the 4 MiB that a plain gRPC client takes. */
const chunkBytes = 1024 * 1024;
/** What an item costs within its list: the field's number and the item's length. */
const headBytes = 6;

export interface ChunkOptions {
  readonly signal?: AbortSignal;
  readonly limitBytes?: number;
}

/**
 * Cuts a list into chunks whose encoding is at most `limitBytes` long; an item that is longer goes alone. An
 * empty list is no chunk at all. Between two chunks other calls have their turn.
 * @throws The signal's reason once it has aborted.
 */
export async function* inChunks<D extends DescMessage>(
  schema: D,
  items: readonly MessageShape<D>[],
  { signal, limitBytes = chunkBytes }: ChunkOptions = {},
): AsyncGenerator<MessageShape<D>[]> {
  let chunk: MessageShape<D>[] = [];
  let bytes = 0;
  for (const item of items) {
    const itemBytes = encodedBytes(schema, item) + headBytes;
    if (chunk.length > 0 && bytes + itemBytes > limitBytes) {
      yield chunk;
      await turn();
      signal?.throwIfAborted();
      chunk = [];
      bytes = 0;
    }
    chunk.push(item);
    bytes += itemBytes;
  }
  if (chunk.length > 0) yield chunk;
}

/** How long a message's encoding is; that of a remembered one is computed once. */
function encodedBytes<D extends DescMessage>(schema: D, message: MessageShape<D>): number {
  const memo = encodingMemo(schema);
  const known = memo.get(message);
  if (known) return known.length;
  const bytes = toBinary(schema, message);
  if (memo.has(message)) memo.set(message, bytes);
  return bytes.length;
}
