import { setImmediate as turn } from "node:timers/promises";
import { toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";

/** A quarter of the 4 MiB that a plain gRPC client takes. */
const chunkBytes = 1024 * 1024;
/** The overhead of an item in a list: the field's tag and the item's length. */
const headBytes = 6;

/**
 * Splits a list into chunks whose encoding is at most `limitBytes` long; a longer item is a chunk of its own. An
 * empty list has no chunks. Other calls run between two chunks.
 * @throws The signal's reason once it has aborted.
 */
export async function* inChunks<D extends DescMessage>(
  schema: D,
  items: readonly MessageShape<D>[],
  { signal, limitBytes = chunkBytes }: { readonly signal?: AbortSignal; readonly limitBytes?: number } = {},
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

/** The lengths of frozen messages, which never change. */
const knownBytes = new WeakMap<object, number>();

/** The length of a message's encoding. */
function encodedBytes<D extends DescMessage>(schema: D, message: MessageShape<D>): number {
  const known = knownBytes.get(message);
  if (known !== undefined) return known;
  const { length } = toBinary(schema, message);
  if (Object.isFrozen(message)) knownBytes.set(message, length);
  return length;
}
