import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { parseReference } from "../../../src/base/index.js";
import { dockerClientSettings } from "../../../src/config/index.js";
import { createMemoryDocker, type HostProgram } from "../../../src/drivers/memory/index.js";
import { NodeCredentials } from "../../../src/images/node-credentials.js";
import { openImages, spec, staying } from "./lab.js";

const configFile = "/root/.docker/config.json";
const base64 = (text: string) => Buffer.from(text).toString("base64");

function open(config: unknown, helpers: Record<string, HostProgram> = {}) {
  const { host } = createMemoryDocker({ images: [] });
  if (config !== undefined) {
    host.files.tree.makeDirectory("/root/.docker");
    host.files.tree.replace(configFile, typeof config === "string" ? config : JSON.stringify(config), 0o600);
  }
  for (const [name, program] of Object.entries(helpers))
    host.programs.set(`docker-credential-${name}`, program);
  const lines: string[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => lines.push(line) });
  const settings = () => ({ configFile, environment: { PATH: "/bin", HOME: "/root" } });
  const credentials = new NodeCredentials(host, log, settings);
  return { host, lines, find: (name: string) => credentials.find(parseReference(name), staying()) };
}

const answer =
  (username: string, secret: string): HostProgram =>
  ({ args, input, stdout }) => {
    stdout(JSON.stringify({ ServerURL: input.toString("utf8"), Username: username, Secret: secret }));
    return args.join() === "get" ? 0 : 2;
  };

describe("the node's Docker logins", () => {
  it("are empty without a file, and nothing is logged", async () => {
    const { find, lines } = open(undefined);
    assert.deepEqual(await find("r.example/a"), []);
    assert.deepEqual(lines, []);
  });

  it("come from auths, the most particular first", async () => {
    const { find } = open({
      auths: {
        "*.example": { auth: base64("star:s") },
        "https://r.example/v2/": { auth: base64("host:h") },
        "r.example/team": { username: "team", password: "t" },
        "other.example": { auth: base64("other:o") },
        "https://index.docker.io/v1/": { identitytoken: "id" },
        "t.example:5000": { registrytoken: "rt" },
        "empty.example": {},
      },
    });
    assert.deepEqual(
      (await find("r.example/team/a:1")).map(({ username }) => username),
      ["team", "host", "star"],
    );
    assert.deepEqual(
      (await find("r.example/b")).map(({ username }) => username),
      ["host", "star"],
    );
    const [hub] = await find("busybox");
    assert.equal(hub?.identityToken, "id");
    assert.equal((await find("t.example:5000/a"))[0]?.registryToken, "rt");
    assert.deepEqual(
      (await find("empty.example/a")).map(({ username }) => username),
      ["star"],
    );
    assert.deepEqual(await find("quay.io/a"), []);
  });

  it("come from the helper of the registry, or else from the store", async () => {
    const asked: string[] = [];
    const noting =
      (name: string, program: HostProgram): HostProgram =>
      (io) => {
        asked.push(`${name} ${io.input.toString("utf8")} ${io.env["HOME"] ?? ""}`);
        return program(io);
      };
    const { find } = open(
      {
        auths: { "r.example": {}, "file.example": { auth: base64("file:f") } },
        credHelpers: { "own.example": "own", "token.example": "token" },
        credsStore: "store",
      },
      {
        own: noting("own", answer("joe", "s1")),
        token: noting("token", answer("<token>", "s2")),
        store: noting("store", ({ stdout, input }) => {
          if (input.toString("utf8") !== "r.example") {
            stdout("credentials not found in native keychain");
            return 1;
          }
          stdout(JSON.stringify({ ServerURL: "", Username: "ann", Secret: "s3" }));
          return 0;
        }),
      },
    );
    assert.deepEqual(await find("own.example/a"), [
      { username: "joe", password: "s1", serverAddress: "own.example" },
    ]);
    assert.deepEqual(await find("token.example/a"), [
      { identityToken: "s2", serverAddress: "token.example" },
    ]);
    assert.deepEqual(await find("r.example/a"), [
      { username: "ann", password: "s3", serverAddress: "r.example" },
    ]);
    assert.deepEqual(
      (await find("file.example/a")).map(({ username }) => username),
      ["file"],
    );
    assert.deepEqual(await find("busybox"), []);
    assert.deepEqual(asked, [
      "own own.example /root",
      "token token.example /root",
      "store r.example /root",
      "store file.example /root",
      "store https://index.docker.io/v1/ /root",
    ]);
  });

  for (const [what, program] of [
    ["fails", () => 3],
    ["prints no JSON", ({ stdout }) => (stdout("secret?"), 0)],
    ["prints another form", ({ stdout }) => (stdout('{"Username":1,"Secret":"secret"}'), 0)],
    ["has no secret", answer("joe", "")],
    ["prints without end", ({ stdout }) => (stdout("secret".repeat(1_000_000)), 0)],
  ] as const satisfies readonly (readonly [string, HostProgram])[]) {
    it(`skip a helper that ${what}, and log it without the secret`, async () => {
      const { find, lines } = open(
        { credsStore: "bad", auths: { "r.example": { auth: base64("file:f") } } },
        { bad: program },
      );
      assert.deepEqual(
        (await find("r.example/a")).map(({ username }) => username),
        ["file"],
      );
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? "", /credential helper returned no login/);
      assert.doesNotMatch(lines[0] ?? "", /secret/);
    });
  }

  it("ignore a helper that is missing, hangs or has an invalid name", async () => {
    for (const credsStore of ["missing", "../../bin/sh", "-x", "a b"]) {
      const { find, lines } = open({ credsStore });
      assert.deepEqual(await find("r.example/a"), []);
      assert.equal(lines.length, 1, credsStore);
    }
    const { host, lines, find } = open({ credsStore: "slow" }, { slow: () => 0 });
    host.faults.on("processes.run", { code: "EIO" });
    assert.deepEqual(await find("r.example/a"), []);
    assert.equal(lines.length, 1);
  });

  for (const [what, text] of [
    ["is cut", '{"auths":'],
    ["is a list", "[1]"],
    ["is empty", ""],
  ] as const) {
    it(`skip a file that ${what}, and log it once`, async () => {
      const { find, lines } = open(text);
      for (let round = 0; round < 3; round++) assert.deepEqual(await find("r.example/a"), []);
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? "", /not the JSON of a Docker configuration/);
    });
  }

  it("skip malformed entries of a file and use the rest", async () => {
    const { find } = open({
      auths: { "r.example": 5, "s.example": { auth: 7 }, "t.example": { auth: base64("t:t") } },
      credHelpers: { "t.example": 1 },
      credsStore: ["x"],
    });
    assert.deepEqual(await find("r.example/a"), []);
    assert.deepEqual(await find("s.example/a"), []);
    assert.equal((await find("t.example/a"))[0]?.username, "t");
    const { find: findBad, lines } = open({ auths: { "r.example": { auth: "secret" } } });
    assert.deepEqual(await findBad("r.example/a"), []);
    assert.match(lines[0] ?? "", /"r\.example".*its auth is not base64/);
    assert.doesNotMatch(lines[0] ?? "", /secret/);
  });

  it("lie where Docker's own client keeps them", () => {
    assert.equal(dockerClientSettings({ HOME: "/home/joe" }).configFile, "/home/joe/.docker/config.json");
    assert.equal(
      dockerClientSettings({ HOME: "/h", DOCKER_CONFIG: "/etc/d" }).configFile,
      "/etc/d/config.json",
    );
    assert.match(dockerClientSettings({}).configFile, /^\/.*\/\.docker\/config\.json$/);
    assert.match(dockerClientSettings({}).environment["PATH"] ?? "", /\/usr\/bin/);
    assert.equal(dockerClientSettings({ PATH: "/x" }).environment["PATH"], "/x");
  });
});

describe("a pull with the node's logins", () => {
  const credentials = { username: "joe", password: "right" };

  async function lab(nodeCredentialsForAllPulls: boolean) {
    const opened = await openImages({
      config: { nodeCredentialsForAllPulls, sandboxImage: "r.example/pause:1" },
    });
    const { registry, host } = opened.engine;
    for (const name of ["r.example/pause", "r.example/a"]) {
      registry.add(`${name}:1`);
      registry.behave(name, { credentials });
    }
    const file = dockerClientSettings().configFile;
    host.files.tree.makeDirectory(file.slice(0, file.lastIndexOf("/")));
    const auths = {
      "r.example/a": { auth: base64("joe:wrong") },
      "r.example": { auth: base64("joe:right") },
    };
    host.files.tree.replace(file, JSON.stringify({ auths }), 0o600);
    return opened;
  }

  it("is the sandbox image's alone, unless all may", async () => {
    await using closed = await lab(false);
    await closed.images.ensureSandboxImage(staying());
    await assert.rejects(closed.images.pull(spec("r.example/a:1"), undefined, staying()), {
      kind: "unauthenticated",
    });
    await using opened = await lab(true);
    assert.match(await opened.images.pull(spec("r.example/a:1"), undefined, staying()), /^sha256:/);
    assert.equal(opened.engine.calls.count("images.pull"), 2, "one login after the other");
  });
});
