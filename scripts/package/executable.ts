import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "../bundle.js";
import { koffiFor, nodeFor, type Architecture } from "./inputs.js";
import { run } from "./run.js";

/**
 * Makes the single executable `docker-cri`, and `koffi.node` beside it.
 * @see Node, "Single executable applications"
 */
export async function makeExecutable(folder: string, { node }: Architecture): Promise<void> {
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), "docker-cri-executable-"));
  const own = process.arch === node;
  // A foreign Node does not run here, but this machine's puts the program into it.
  const builder = join(await nodeFor(process.arch === "arm64" ? "arm64" : "x64"), "bin", "node");
  await bundle(join(work, "docker-cri.cjs"), { single: true });
  const config = {
    main: "docker-cri.cjs",
    output: join(folder, "docker-cri"),
    executable: join(await nodeFor(node), "bin", "node"),
    disableExperimentalSEAWarning: true,
    // Made by the very Node that reads it.
    useCodeCache: own,
    // NODE_OPTIONS is for programs of Node; this one is a program of its own.
    execArgvExtension: "none",
  };
  await writeFile(join(work, "sea.json"), JSON.stringify(config));
  // The code cache depends on V8's random numbers: with a seed two builds are the same.
  await run(builder, ["--random-seed=1", "--build-sea", "sea.json"], { cwd: work });
  await rm(work, { recursive: true });
  await chmod(join(folder, "docker-cri"), 0o755);
  await copyFile(await koffiFor(node), join(folder, "koffi.node"));
  await chmod(join(folder, "koffi.node"), 0o644);
}
