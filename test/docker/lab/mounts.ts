import { readFile } from "node:fs/promises";
import { run } from "./command.js";

/** The mount points at and below a folder, the deepest first. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const text = await readFile("/proc/self/mountinfo", "utf8");
  const points = text.split("\n").flatMap((line) => {
    const point = line
      .split(" ")[4]
      ?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    return point !== undefined && (point === folder || point.startsWith(`${folder}/`)) ? [point] : [];
  });
  return points.reverse();
}

/** Unmounts everything at and below a folder, lazily where something still holds it. */
export async function unmountBelow(folder: string): Promise<void> {
  for (const point of await mountsBelow(folder)) {
    const { exitCode } = await run("umount", [point], { allowFailure: true });
    if (exitCode !== 0) await run("umount", ["--lazy", point], { allowFailure: true });
  }
}
