import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { readContainerLog } from "../../src/logs/index.js";
import type { Dockerd } from "./lab/index.js";
import { Numbers } from "./logs-counting.js";

/** The log of one container, kept by a process that is killed again and again. */
export class KilledPump {
  readonly root: string;
  readonly path: string;
  said = "";
  private child: ChildProcess | undefined;
  private rotations = 0;

  constructor(
    private readonly dockerd: Dockerd,
    private readonly id: string,
    folder = "pods/ns_pod_uid",
  ) {
    this.root = join(dockerd.folder, folder);
    this.path = join(this.root, "app/0.log");
  }

  start(): void {
    const program = join(import.meta.dirname, "logs-pump.ts");
    const args = ["--import", "tsx", program, this.dockerd.endpoint, this.id, this.path, this.root];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (this.said += text));
    }
    this.child = child;
  }

  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  async says(word: string, ms = 60_000): Promise<void> {
    const deadline = performance.now() + ms;
    while (!this.said.includes(word)) {
      if (performance.now() > deadline) throw new Error(`the pump did not say "${word}" but: ${this.said}`);
      await pause(10);
    }
  }

  /** Renames the file as kubelet does; a pump that lives is told. */
  async rotate(): Promise<void> {
    const name = `${this.path}.20240101-${String(this.rotations++).padStart(6, "0")}`;
    await rename(this.path, name);
    if (!this.child) return;
    this.said = "";
    this.child.kill("SIGUSR2");
    await this.says("reopened");
  }

  /** All files of the log, oldest first. */
  files(): string[] {
    const folder = join(this.root, "app");
    const names = readdirSync(folder).sort();
    const [current, ...rotated] = names;
    return [...rotated, current ?? ""].map((name) => join(folder, name));
  }

  sizeBytes(): number {
    return statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** The number of one of the last lines. */
  newestNumber(): number {
    return Number([...tailOf(this.path).matchAll(/ [PF] (\d+):/g)].at(-1)?.[1] ?? 0);
  }
}

/** The last 256 KiB of a file: two of the longest lines, and more. Empty for a file that is not there yet. */
export function tailOf(path: string): string {
  if (!existsSync(path)) return "";
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const end = Buffer.alloc(Math.min(size, 256 * 1024));
    readSync(file, end, 0, end.length, size - end.length);
    return end.toString("latin1");
  } finally {
    closeSync(file);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What the files of a log hold, one after the other. */
export async function numbersIn(files: readonly string[]): Promise<Numbers> {
  const numbers = new Numbers();
  const parts: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  for (const file of files) {
    for await (const entry of readContainerLog(file, { parts: true })) {
      // A line may begin in one file and end in the next.
      parts[entry.stream].push(entry.text);
      if (entry.partial) continue;
      numbers.add(entry.stream, Buffer.concat(parts[entry.stream]), false);
      parts[entry.stream] = [];
    }
  }
  for (const stream of ["stdout", "stderr"] as const) {
    if (parts[stream].length > 0) numbers.add(stream, Buffer.concat(parts[stream]), true);
  }
  return numbers;
}
