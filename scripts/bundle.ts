import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import ts from "typescript";

/**
 * Bundles the built program into one CommonJS file. `npm run build` makes the npm package's own program with it, and
 * `npm run package` the single executable.
 */

const root = join(import.meta.dirname, "..");

/** The program of the npm package. */
export const installedProgram = join(root, "dist", "cli", "docker-cri.cjs");

/**
 * Libraries that Docker's client loads for what docker-cri never asks of it: `ssh://` endpoints, BuildKit sessions and
 * packing build contexts. They are half of all the code, and one of them is native.
 */
const unused = [
  "ssh2",
  "@grpc/grpc-js",
  "@grpc/proto-loader",
  "protobufjs",
  "tar-fs",
  "@balena/dockerignore",
];

const leaveOutUnused: Plugin = {
  name: "leave-out-unused",
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ path }) =>
      unused.includes(path) ? { path, namespace: "unused" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "unused" }, () => ({ contents: "" }));
  },
};

/** koffi's native part as a file beside the executable, in place of the package that looks for it in node_modules. */
const koffiBesideExecutable: Plugin = {
  name: "koffi-beside-executable",
  setup(build) {
    build.onResolve({ filter: /^koffi$/ }, ({ path }) => ({ path, namespace: "native" }));
    build.onLoad({ filter: /.*/, namespace: "native" }, () => ({
      contents: 'module.exports = require("node:module").createRequire(process.execPath)("./koffi.node");',
    }));
  },
};

/** Writes the bundle. For a single executable, koffi's native part is expected beside it, as `koffi.node`. */
export async function bundle(outfile: string, { single }: { readonly single: boolean }): Promise<void> {
  const { version, dependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    version: string;
    dependencies: Record<string, string>;
  };
  const { outputFiles } = await build({
    // From tsc's output: esbuild has TypeScript's decorators, but not its checks.
    entryPoints: [join(root, "dist", "cli", "main.js")],
    outfile,
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20.19",
    // V8 keeps the source in memory. Names stay, for stack traces.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    define: { DOCKER_CRI_PACKAGE: JSON.stringify({ version, dependencies }) },
    // Reached only where DOCKER_CRI_PACKAGE is not defined.
    logOverride: { "empty-import-meta": "silent" },
    logLevel: "warning",
    write: false,
    external: single ? [] : ["koffi"],
    plugins: single ? [leaveOutUnused, koffiBesideExecutable] : [leaveOutUnused],
  });
  const program = outputFiles.map(({ text }) => compiledWithProgram(text)).join("");
  // One character beyond ASCII, and V8 keeps the whole source in two bytes a character: 2 MiB more.
  if (/[^\0-\x7f]/.test(program))
    throw new Error(`${outfile} is not all ASCII: write the character in a regular expression as \\u…`);
  await writeFile(outfile, program);
  await chmod(outfile, 0o755);
}

/**
 * Puts the function that esbuild makes of each module in parentheses. V8 then compiles it together with the program, and
 * keeps it in the code cache. Any other function is compiled at its first call, and what is inside is parsed again.
 * @throws Error when there are no such functions.
 */
function compiledWithProgram(program: string): string {
  const source = ts.createSourceFile("program.js", program, ts.ScriptTarget.Latest);
  const pieces: string[] = [];
  let done = 0;
  for (const { name, end } of moduleFunctions(source)) {
    // "dist/x.js"(){…} becomes "dist/x.js":(function(){…})
    pieces.push(program.slice(done, name.end), ":(function", program.slice(name.end, end), ")");
    done = end;
  }
  if (done === 0) throw new Error("found no modules in the bundle: does esbuild write them in another way?");
  return pieces.join("") + program.slice(done);
}

/** The method of each top-level `__esm({"dist/x.js"(){…}})` and `__commonJS({"x.js"(exports,module){…}})`. */
function moduleFunctions({ statements }: ts.SourceFile): ts.MethodDeclaration[] {
  return statements
    .filter(ts.isVariableStatement)
    .flatMap(({ declarationList }) => [...declarationList.declarations])
    .flatMap(({ initializer }) => {
      if (!initializer || !ts.isCallExpression(initializer)) return [];
      const { expression, arguments: args } = initializer;
      if (!ts.isIdentifier(expression) || !/^__(esm|commonJS)$/.test(expression.text)) return [];
      return args.filter(ts.isObjectLiteralExpression).flatMap(({ properties }) => [...properties]);
    })
    .filter(ts.isMethodDeclaration);
}

if (process.argv[1] === import.meta.filename) await bundle(installedProgram, { single: false });
