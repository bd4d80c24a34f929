import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The lab's folder: DOCKER_CRI_LAB, or `docker-cri-lab` in the system's folder for temporary files. */
export function labFolder(): string {
  return process.env["DOCKER_CRI_LAB"] ?? join(tmpdir(), "docker-cri-lab");
}

/** Makes, if need be, a folder inside the lab's folder, and answers its path. */
export async function labPath(...parts: string[]): Promise<string> {
  const path = join(labFolder(), ...parts);
  await mkdir(path, { recursive: true });
  return path;
}

/**
 * Folder of what is about the machine and not about one lab's folder: locks, and what the firewall was.
 * Labs with different folders share it.
 */
export async function machinePath(...parts: string[]): Promise<string> {
  const path = join("/run/docker-cri-lab", ...parts);
  await mkdir(path, { recursive: true });
  return path;
}

/** Folder of what is expensive to make and stays from run to run: engines, tools, images. */
export async function cachePath(...parts: string[]): Promise<string> {
  return await labPath("cache", ...parts);
}

/** The Go module of the tests, in the source tree. */
export const goModuleFolder = fileURLToPath(new URL("../../go", import.meta.url));
