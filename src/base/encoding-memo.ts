import type { DescMessage, MessageShape } from "@bufbuild/protobuf";

/** The messages of one type whose bytes are kept once they have been computed. */
export class EncodingMemo {
  /** False until a message of the type is remembered, so that the others cost no look-up. */
  used = false;
  private readonly bytes = new WeakMap<object, Uint8Array | undefined>();

  add(message: object): void {
    this.used = true;
    if (!this.bytes.has(message)) this.bytes.set(message, undefined);
  }

  /** Whether `message` is remembered. */
  has(message: object): boolean {
    return this.bytes.has(message);
  }

  get(message: object): Uint8Array | undefined {
    return this.bytes.get(message);
  }

  set(message: object, bytes: Uint8Array): void {
    this.bytes.set(message, bytes);
  }
}

const memos = new WeakMap<DescMessage, EncodingMemo>();

/** The memo of one message type. */
export function encodingMemo(schema: DescMessage): EncodingMemo {
  let memo = memos.get(schema);
  if (!memo) {
    memo = new EncodingMemo();
    memos.set(schema, memo);
  }
  return memo;
}

/**
 * Promises that a message never changes again, and freezes it and all it holds (bytes excepted, which
 * JavaScript cannot freeze) so that a change throws. Its encoding is then computed once, however often it is
 * answered, alone or within a list; it is forgotten with the message.
 * @returns The same message.
 */
export function rememberEncoding<D extends DescMessage>(
  schema: D,
  message: MessageShape<D>,
): MessageShape<D> {
  deepFreeze(message);
  encodingMemo(schema).add(message);
  return message;
}

function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value))
    return;
  Object.freeze(value);
  for (const held of Object.values(value)) deepFreeze(held);
}
