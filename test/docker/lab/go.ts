import { chmod, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.js";
import { withLock } from "./lock.js";
import { installGo } from "./packages.js";
import { cachePath, goModuleFolder } from "./paths.js";
import { timed } from "./say.js";

/** Nothing is fetched behind our back, and no setting of the user picks another Go. */
const ownToolchain = { GOTOOLCHAIN: "local", GOROOT: "" };

let found: Promise<string> | undefined;

/**
 * Runs Go, of the version that the tests' module asks for or a newer one. Where the machine has none, or an
 * older one, as Debian 12 does, the right one is fetched through the Go module proxy, which checks its sum.
 * @throws CommandError when Go fails, or cannot be had.
 */
export async function go(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { stdout } = await run(await (found ??= findGo()), args, {
    cwd,
    env: { ...ownToolchain, CGO_ENABLED: "0", ...env },
    timeoutMs: 1_500_000,
  });
  return stdout;
}

async function findGo(): Promise<string> {
  await installGo();
  const wanted = /^go (\S+)$/m.exec(await readFile(join(goModuleFolder, "go.mod"), "utf8"))?.[1] ?? "";
  const { stdout } = await run("go", ["version"], { env: ownToolchain });
  const present = /go(\d+(?:\.\d+)*)/.exec(stdout)?.[1] ?? "0";
  return isAtLeast(present, wanted) ? "go" : await withLock("go", () => fetchGo(present, wanted));
}

async function fetchGo(present: string, wanted: string): Promise<string> {
  const version = wanted.split(".").length < 3 ? `${wanted}.0` : wanted;
  const platform = `linux-${process.arch === "x64" ? "amd64" : process.arch}`;
  const module = `golang.org/toolchain@v0.0.1-go${version}.${platform}`;
  return await timed(`Go is ${present}: getting ${version}`, async () => {
    const { stdout } = await run("go", ["mod", "download", "-json", module], {
      cwd: await cachePath("tools"),
      env: ownToolchain,
    });
    const { Dir: root } = JSON.parse(stdout) as { readonly Dir: string };
    // A module's files are not executable, and Go before 1.21 does not know that these are programs.
    const tools = join(root, "pkg", "tool", platform.replace("-", "_"));
    for (const folder of [join(root, "bin"), tools])
      for (const file of await readdir(folder)) await chmod(join(folder, file), 0o755);
    return join(root, "bin", "go");
  });
}

function isAtLeast(present: string, wanted: string): boolean {
  const [ours = [], theirs = []] = [present, wanted].map((version) => version.split(".").map(Number));
  for (let index = 0; index < 3; index++) {
    const difference = (ours[index] ?? 0) - (theirs[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
