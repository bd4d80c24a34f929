import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { runCli } from "./capture.js";

const { version, dependencies } = JSON.parse(
  readFileSync(new URL("../../../package.json", import.meta.url), "utf8"),
) as { version: string; dependencies: Record<string, string> };

describe("docker-cri's command line", () => {
  for (const args of [["--version"], ["serve", "--version"], ["doctor", "--version"]]) {
    it(`${args.join(" ")} prints the version`, async () => {
      assert.deepEqual(await runCli(args), { code: 0, out: `docker-cri ${version}\n`, err: "" });
    });
  }

  it("serve --buildinfo prints the data for a bug report", async () => {
    const { code, out } = await runCli(["serve", "--buildinfo"]);
    assert.equal(code, 0);
    for (const line of [
      `docker-cri ${version}`,
      `node ${process.versions.node}`,
      `dockerode ${dependencies["dockerode"]}`,
    ])
      assert.ok(out.includes(line), line);
  });

  for (const [args, told] of [
    [["--help"], ["docker-cri demo", "docker-cri doctor", "docker-cri serve", "Exit codes:"]],
    [
      ["serve", "--help"],
      ["--container-runtime-endpoint <url>", "crictl --runtime-endpoint", "kubeadm", "Exit codes:"],
    ],
    [
      ["doctor", "--help"],
      ["every flag of serve", "--json"],
    ],
    [["demo", "--help"], ["neither Docker nor root"]],
    [["help", "serve"], ["--docker-endpoint <url>"]],
  ] as const) {
    it(`${args.join(" ")} tells a stranger what to do`, async () => {
      const { code, out, err } = await runCli(args);
      assert.equal(code, 0);
      assert.equal(err, "");
      for (const text of told) assert.ok(out.includes(text), text);
      for (const line of out.split("\n")) assert.ok(line.length <= 100, line);
    });
  }

  it("prints the help without a command, as a usage error", async () => {
    const { code, err } = await runCli([]);
    assert.equal(code, 2);
    assert.match(err, /^Usage: docker-cri/);
  });

  for (const [args, line] of [
    [["run"], "docker-cri: unknown command 'run'; see docker-cri --help"],
    [["serve", "--nope"], "docker-cri: unknown option '--nope'; see docker-cri serve --help"],
    [["serve", "extra"], /^docker-cri: too many arguments for 'serve'.*; see docker-cri serve --help$/],
    [
      ["serve", "--config"],
      /^docker-cri: option '--config <file>' argument missing; see docker-cri serve --help$/,
    ],
    [["--docker-endpoint", "x"], /it is a flag of serve: use docker-cri serve --docker-endpoint$/],
    [
      ["--cri-dockerd-root-directory=/x"],
      /it is a flag of serve: use docker-cri serve --cri-dockerd-root-directory$/,
    ],
    [
      ["serve", "--network-plugin", "kubenet"],
      /^docker-cri: --network-plugin: kubenet is not supported: .* use --network-plugin cni$/,
    ],
    [["serve", "--config", "/no/such/file"], "docker-cri: configuration file /no/such/file: no such file"],
    [["doctor", "--log-level", "loud"], /^docker-cri: --log-level: "loud" must be one of/],
  ] as const) {
    it(`${args.join(" ")} fails in one line with advice for the operator`, async () => {
      const { code, out, err } = await runCli(args);
      assert.equal(code, 2);
      assert.equal(out, "");
      assert.equal(err.split("\n").length, 2, err);
      if (typeof line === "string") assert.equal(err, `${line}\n`);
      else assert.match(err.trimEnd(), line);
    });
  }

  it("doctor reports why a flag has no effect", async () => {
    const { out } = await runCli(["doctor", "--engine=memory", "--hairpin-mode=hairpin-veth", "--pod-cidr="]);
    assert.match(out, /\nWARN {2}flag +--hairpin-mode: has no effect: /);
    assert.equal(out.match(/ flag /g)?.length, 1);
  });

  it("takes a later flag for the one that counts, under either of its names", async () => {
    const { code, err } = await runCli([
      "serve",
      "--root-directory",
      "/a",
      "--cri-dockerd-root-directory",
      "b",
    ]);
    assert.equal(code, 2);
    assert.match(err, /--root-directory: rootDirectory: must be an absolute path/);
  });
});
