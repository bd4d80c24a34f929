/** A whole SVG file over a background of one color. */
export function svgFile(
  {
    width,
    height,
    font,
    fontSize,
    background,
    radius = 0,
  }: {
    readonly width: number;
    readonly height: number;
    readonly font: string;
    readonly fontSize: number;
    readonly background: string;
    readonly radius?: number;
  },
  content: readonly string[],
): string {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${font}" font-size="${fontSize}">`;
  const back = `<rect width="${width}" height="${height}" rx="${radius}" fill="${background}"/>`;
  return `${[head, back, ...content, "</svg>"].join("\n")}\n`;
}

/** Escapes text for an element's content. */
export function escapeSvg(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
