// The import table of ARCHITECTURE.md, as rules. A layer imports what is below it, and nothing else.

const lowest = ["gen", "base"];
const ports = ["config", "docker", "host"];
const aboveModules = ["handlers", "rpc", "adapters", "observability", "composition"];
const modules = [
  "sandbox",
  "containers",
  "images",
  "network",
  "logs",
  "streaming",
  "stats",
  "events",
  "runtime",
];

const toTranslate = [...lowest, ...ports];
const toInventory = [...toTranslate, "translate", "checkpoint"];
const toModules = [...toInventory, "inventory", "carriers"];
const toHandlers = [...toModules, ...modules];
const toRpc = [...toHandlers, "handlers"];
const toAdapters = [...toRpc, "rpc"];
const toComposition = [...toAdapters, "adapters", "drivers", "observability"];
const everything = [...toComposition, "composition", "client"];

/** What each folder of src may import beside itself. */
const table = {
  gen: [],
  base: ["gen"],
  carriers: ["base"],
  config: lowest,
  docker: lowest,
  host: lowest,
  translate: toTranslate,
  checkpoint: toTranslate,
  inventory: toInventory,
  ...Object.fromEntries(modules.map((module) => [module, [...toModules, ...modules]])),
  handlers: toHandlers,
  rpc: toRpc,
  adapters: toAdapters,
  observability: toAdapters,
  client: [...lowest, "carriers"],
  drivers: ["base", ...ports],
  composition: toComposition,
  cli: [...everything, "testing"],
  testing: everything,
};

const anyOf = (names) => `(${names.join("|")})`;
const inside = (names) => `^src/${anyOf(names)}/`;

const layerRules = Object.entries(table).map(([folder, below]) => ({
  name: `${folder}-imports-only-what-is-below`,
  comment: `src/${folder} may import ${below.length === 0 ? "nothing of ours" : below.join(", ")}.`,
  severity: "error",
  from: { path: inside([folder]) },
  to: { path: "^src/", pathNot: inside([folder, ...below]) },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: "every-folder-is-in-the-table",
      comment: "A new folder of src gets a place in the table before anything is written in it.",
      severity: "error",
      from: { path: "^src/[^/]+/", pathNot: inside(Object.keys(table)) },
      to: {},
    },
    {
      name: "a-module-is-entered-by-its-index",
      comment: "Modules export what others may use in their index.ts; the rest is private.",
      severity: "error",
      from: { path: inside([...modules, ...aboveModules]) },
      to: { path: inside(modules), pathNot: ["^src/$1/", "^src/[^/]+/index\\.ts$"] },
    },
    {
      name: "drivers-do-not-know-each-other",
      severity: "error",
      from: { path: "^src/drivers/([^/]+)/" },
      to: { path: "^src/drivers/", pathNot: "^src/drivers/$1/" },
    },
    {
      name: "adapters-do-not-know-each-other",
      comment: "What they share is in adapters/core.",
      severity: "error",
      from: { path: "^src/adapters/([^/]+)/" },
      to: { path: "^src/adapters/", pathNot: "^src/adapters/($1|core)/" },
    },
    {
      name: "adapters-load-no-handlers",
      comment: "docker-cri/unix-socket must load before, and without, the decorators of every module.",
      severity: "error",
      from: { path: "^src/adapters/" },
      to: { path: "^src/rpc/(index|handler-table)\\.ts$" },
    },
    {
      name: "dockerode-stays-in-its-driver",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/drivers/dockerode/" },
      to: { path: "node_modules/(@types/)?(dockerode|docker-modem)/" },
    },
    {
      name: "connect-stays-where-calls-come-in",
      severity: "error",
      from: {
        path: "^src/",
        pathNot: inside(["rpc", "adapters", "client", "composition", "cli", "testing"]),
      },
      to: { path: "node_modules/@connectrpc/" },
    },
    {
      name: "no-cycles",
      comment: "Neither code nor types: two files that need each other are one, or need a third.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "nothing-imports-tests",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|bench|examples)/" },
    },
    {
      name: "everything-resolves",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "types"] },
  },
};
