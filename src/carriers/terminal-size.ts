/** In characters. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

const longestMessage = 4_096;
const largest = 65_535;

/**
 * The sizes in a resize stream: consecutive JSON objects, with or without newlines between them. Invalid sizes, and
 * those with a zero, are skipped.
 */
export async function* terminalSizes(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TerminalSize> {
  let text = "";
  for await (const chunk of chunks) {
    text += Buffer.from(chunk).toString("latin1");
    for (let end = text.indexOf("}"); end >= 0; end = text.indexOf("}")) {
      const size = parseSize(text.slice(0, end + 1));
      text = text.slice(end + 1);
      if (size) yield size;
    }
    if (text.length > longestMessage) text = "";
  }
}

/** The encoded size, with a newline, which Go's decoders do not need. */
export function encodeSize({ width, height }: TerminalSize): string {
  return `${JSON.stringify({ Width: width, Height: height })}\n`;
}

function parseSize(text: string): TerminalSize | undefined {
  try {
    const entries = Object.entries(JSON.parse(text) as object);
    // Kubernetes' own servers read the names in any case, and @kubernetes/client-node sends them in lower case.
    const { width, height } = Object.fromEntries<unknown>(
      entries.map(([name, value]) => [name.toLowerCase(), value]),
    );
    return isSide(width) && isSide(height) ? { width, height } : undefined;
  } catch {
    return undefined;
  }
}

function isSide(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= largest;
}
