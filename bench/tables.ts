/** A table in markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

export function ratioText(ours: number, theirs: number): string {
  return theirs === 0 ? "–" : (ours / theirs).toFixed(3);
}

export function secondsText(value: number): string {
  return `${value.toFixed(3)} s`;
}

export function megabytesText(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
