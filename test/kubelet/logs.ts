import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { namespace, type Pod } from "./pods.js";

/** The log files of a pod's container, rotated ones included, oldest first. */
export async function logFiles(podLogs: string, pod: Pod, container: string): Promise<string[]> {
  const { name, uid } = pod.metadata;
  const folder = join(podLogs, `${namespace}_${name}_${uid}`, container);
  const names = (await readdir(folder)).filter((each) => !each.endsWith(".tmp"));
  // 0.log.20260102-030405(.gz) are older than 0.log.
  const rotated = names.filter((each) => each !== "0.log").sort();
  return [...rotated, "0.log"].map((each) => join(folder, each));
}

/** The lines of CRI log files without their heads; undefined when a file was rotated meanwhile. */
export async function readLines(files: readonly string[]): Promise<string[] | undefined> {
  const texts: string[] = [];
  for (const file of files) {
    const bytes = await readFile(file).catch(() => undefined);
    if (bytes === undefined) return undefined;
    texts.push((file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8"));
  }
  const lines = texts.join("").split("\n");
  // The last one may be half written.
  lines.pop();
  return lines.map((line) => line.split(" ").slice(3).join(" "));
}
