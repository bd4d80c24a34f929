import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { makeArchive, makeDeb, makeRpm, writeSums } from "./formats.js";
import { architectures } from "./inputs.js";
import { has, root, run } from "./run.js";
import { makeSbom } from "./sbom.js";
import { makeTree, type Release } from "./tree.js";

/**
 * `npm run package`: a .deb, an .rpm where rpmbuild is installed and a .tar.gz for each architecture, an SBOM and
 * SHA256SUMS. The same sources give the same files, byte by byte. All files have the time of SOURCE_DATE_EPOCH, or of the
 * last commit.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: "string", default: join(root, "packages") },
      arch: { type: "string", multiple: true, default: [process.arch] },
    },
  });
  const chosen = values.arch.map((name) => {
    const known = architectures.find(({ node }) => node === name);
    if (known) return known;
    throw new Error(`--arch ${name}: write ${architectures.map(({ node }) => node).join(" or ")}`);
  });
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  const seconds = await epoch();
  const out = resolve(values.out);
  // Folders and files get the same rights whatever the builder's umask is.
  process.umask(0o022);
  await mkdir(out, { recursive: true });
  const names: string[] = [];
  for (const architecture of chosen)
    names.push(...(await makePackages(out, { version, architecture, epoch: seconds })));
  names.push(await makeSbom(out, version, seconds));
  await writeSums(out, names);
  for (const name of [...names, "SHA256SUMS"]) process.stdout.write(`${join(out, name)}\n`);
}

async function makePackages(out: string, release: Release): Promise<string[]> {
  const work = await mkdtemp(join(tmpdir(), "docker-cri-package-"));
  try {
    const tree = join(work, "tree");
    await mkdir(tree);
    await makeTree(tree, release);
    const names = [await makeDeb(tree, out, release)];
    if (await has("rpmbuild")) names.push(await makeRpm(tree, out, release));
    else process.stderr.write("no .rpm: rpmbuild is not installed\n");
    return [...names, await makeArchive(tree, out, release)];
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function epoch(): Promise<number> {
  const given = process.env["SOURCE_DATE_EPOCH"] ?? (await run("git", ["log", "-1", "--format=%ct"]));
  const seconds = Number(given);
  if (!Number.isSafeInteger(seconds) || seconds < 0)
    throw new Error(`SOURCE_DATE_EPOCH is "${given}", not a number of seconds`);
  return seconds;
}

await main();
