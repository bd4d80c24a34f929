const blockBytes = 512;

/** Files as a tar archive (ustar), one chunk a file. */
export async function* tarOf(files: readonly [path: string, content: Buffer][]): AsyncGenerator<Uint8Array> {
  for (const [path, content] of files) {
    yield Buffer.concat([
      header(path, content.length),
      content,
      Buffer.alloc(-content.length & (blockBytes - 1)),
    ]);
    await Promise.resolve();
  }
  yield Buffer.alloc(2 * blockBytes);
}

function header(path: string, sizeBytes: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, length: number) => value.toString(8).padStart(length - 1, "0");
  block.write(path.replace(/^\//, "").slice(0, 100), 0);
  block.write(octal(0o644, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(sizeBytes, 12), 124);
  block.write(octal(0, 12), 136);
  block.write("        ", 148);
  block.write("0", 156);
  block.write("ustar\0" + "00", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 7)}\0 `, 148);
  return block;
}
