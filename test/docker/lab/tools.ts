import { createHash } from "node:crypto";
import { chmod, cp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.js";
import { go } from "./go.js";
import { withLock } from "./lock.js";
import { cachePath, goModuleFolder } from "./paths.js";
import { timed } from "./say.js";

/** A program of another project, built from a copy of its own module. */
interface Pinned {
  readonly name: string;
  readonly module: string;
  /** Of the module; it pins its go.sum, and so all that it needs. */
  readonly sum: string;
  /** The program's package in the module. */
  readonly path: string;
}

/** cri-dockerd, the shim that this project is measured against. */
const criDockerd: Pinned = {
  name: "cri-dockerd",
  module: "github.com/Mirantis/cri-dockerd@v0.4.4",
  sum: "h1:QE4/sdB3MR24UJHLJshFtfg3aLfC1Na0GtExucqPWRI=",
  path: ".",
};

const metricsServer: Pinned = {
  name: "metrics-server",
  module: "sigs.k8s.io/metrics-server@v0.9.0",
  sum: "h1:nlqqZ2H0Xfko8eJC/1qaNVVT17hu4rxndkOi22KTZ4w=",
  path: "./cmd/metrics-server",
};

/** Small programs of the test images: standard library only, one file, built static. */
export type ImageProgram = "pause" | "nnp" | "webserver";

const fetched: Readonly<Record<string, readonly string[]>> = {
  crictl: ["build", "sigs.k8s.io/cri-tools/cmd/crictl"],
};

/** crictl as the pinned module has it. Answers its path. @throws CommandError when Go cannot build it. */
export async function crictl(): Promise<string> {
  return await moduleProgram("crictl");
}

/**
 * critest as the pinned module has it, but for one constant: the digest of the published test-image-digest, which no
 * registry of the lab can serve, is replaced by `imageDigest`. Answers its path.
 * @throws CommandError when Go cannot build it; Error when the module no longer has that constant.
 */
export async function critest(imageDigest: string): Promise<string> {
  const sources = ["go.sum", "go.mod"].map((file) => join(goModuleFolder, file));
  const key = `${await fingerprint(sources)}-${imageDigest.slice(-12)}`;
  return await cached("critest", key, async (output) => {
    const list = ["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cri-tools"];
    const module = (await go(list, goModuleFolder)).trim();
    const work = `${output}-source`;
    try {
      await copyModule(module, join(work, "cri-tools"));
      const constants = join(work, "cri-tools", "pkg", "validate", "consts.go");
      const text = await readFile(constants, "utf8");
      const patched = text.replace(
        /"test-image-digest@sha256:[0-9a-f]{64}"/,
        `"test-image-digest@${imageDigest}"`,
      );
      if (patched === text) throw new Error(`${constants} has no digest of test-image-digest`);
      await writeFile(constants, patched);
      for (const file of ["go.mod", "go.sum"]) await cp(join(goModuleFolder, file), join(work, file));
      const modfile = join(work, "go.mod");
      await go(["mod", "edit", `-replace=sigs.k8s.io/cri-tools=${join(work, "cri-tools")}`, modfile], work);
      const program = "sigs.k8s.io/cri-tools/cmd/critest";
      await go(["test", "-c", "-trimpath", `-modfile=${modfile}`, "-o", output, program], goModuleFolder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

/** Copies a module out of Go's cache, whose files are read-only. */
async function copyModule(source: string, target: string): Promise<void> {
  await cp(source, target, { recursive: true });
  await run("chmod", ["-R", "u+w", target]);
}

/**
 * A program of the tests' Go module, test/go/cmd/NAME, or one that the module pins. It is kept in the
 * cache until the module's sums or the program's own source change.
 * @throws CommandError when Go cannot build it.
 */
export async function moduleProgram(name: string): Promise<string> {
  const pinned = fetched[name];
  const sources = [join(goModuleFolder, "go.sum"), join(goModuleFolder, "go.mod")];
  if (pinned === undefined) {
    const folder = join(goModuleFolder, "cmd", name);
    sources.push(...(await readdir(folder)).sort().map((file) => join(folder, file)));
  }
  return await cached(name, await fingerprint(sources), async (output) => {
    const [verb = "build", ...rest] = pinned ?? ["build", `./cmd/${name}`];
    await go([verb, "-trimpath", "-o", output, ...rest], goModuleFolder);
  });
}

/** The client of CRI's former name, test/go/v1alpha2. Answers its path. @throws CommandError when Go cannot build it. */
export async function v1alpha2Program(): Promise<string> {
  return await separateProgram("v1alpha2");
}

/** As much of systemd-logind as a kubelet asks for, test/go/logind. Answers its path. @throws CommandError when Go cannot build it. */
export async function logindProgram(): Promise<string> {
  return await separateProgram("logind");
}

/** A program with a Go module of its own: what it needs is no concern of the others, or of another version. */
async function separateProgram(name: string): Promise<string> {
  const folder = join(goModuleFolder, name);
  const sources = ["go.sum", "go.mod", "main.go"].map((file) => join(folder, file));
  return await cached(name, await fingerprint(sources), async (output) => {
    await go(["build", "-trimpath", "-o", output, "."], folder);
  });
}

/** A program for an image. Answers its path. @throws CommandError when Go cannot build it. */
export async function imageProgram(name: ImageProgram): Promise<string> {
  const source = join(goModuleFolder, "cmd", name, "main.go");
  return await cached(name, await fingerprint([source]), async (output) => {
    // Outside the module: these need nothing of what it pins.
    await go(["build", "-trimpath", "-ldflags=-s -w", "-o", output, source], goModuleFolder, {
      GO111MODULE: "off",
    });
  });
}

/** cri-dockerd v0.4.4. Answers its path. @throws Error when the module's sum differs; CommandError of Go. */
export async function criDockerdProgram(): Promise<string> {
  return await pinnedProgram(criDockerd);
}

/** metrics-server, with which kubectl top works. Answers its path. @throws as {@link criDockerdProgram}. */
export async function metricsServerProgram(): Promise<string> {
  return await pinnedProgram(metricsServer);
}

async function pinnedProgram({ name, module, sum: wanted, path }: Pinned): Promise<string> {
  const key = createHash("sha256").update(wanted).digest("hex").slice(0, 12);
  return await cached(name, key, async (output) => {
    const folder = await cachePath("tools");
    const stdout = await go(["mod", "download", "-json", module], folder);
    const { Dir: source, Sum: sum } = JSON.parse(stdout) as { readonly Dir: string; readonly Sum: string };
    if (sum !== wanted) throw new Error(`${module} has the sum ${sum}, not ${wanted}`);
    const copy = join(folder, `${name}-source-${process.pid}`);
    try {
      await copyModule(source, copy);
      await go(["build", "-trimpath", "-o", output, path], copy);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });
}

/**
 * Takes a program from the cache, or builds it at the path that `build` is given.
 * @param key Changes with whatever the program is built from.
 */
export async function cached(
  name: string,
  key: string,
  build: (output: string) => Promise<void>,
): Promise<string> {
  const path = join(await cachePath("tools"), `${name}-${key}`);
  const isThere = async (): Promise<boolean> => (await stat(path).catch(() => undefined)) !== undefined;
  if (await isThere()) return path;
  return await withLock(`tool-${name}`, async () => {
    if (await isThere()) return path;
    await timed(`building ${name}`, async () => {
      await build(`${path}.new`);
    });
    await chmod(`${path}.new`, 0o755);
    await rename(`${path}.new`, path);
    return path;
  });
}

async function fingerprint(files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) hash.update(await readFile(file));
  return hash.digest("hex").slice(0, 12);
}
