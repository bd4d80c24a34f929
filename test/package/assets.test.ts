import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { bashCompletion, zshCompletion } from "../../scripts/package/completion.js";
import { manualPage } from "../../scripts/package/manual.js";
import { configurationFile } from "../../scripts/package/tree.js";
import { parseServeConfig, serveFlags } from "../../src/config/index.js";

const packaging = join(import.meta.dirname, "..", "..", "packaging");

/** Each name of each of serve's flags. */
const names = serveFlags.flatMap((flag) => flag.names.split(", "));

describe("the other files of the packages", () => {
  it("is a man page with every flag, its meaning and its default", () => {
    const page = manualPage("1.2.3", "2026-01-31");
    const text = page.replaceAll("\\-", "-").replaceAll("\\fB", "").replaceAll("\\fR", "");
    for (const flag of serveFlags) {
      assert.ok(text.includes(`\n${flag.names} ${flag.value}\n`), flag.names);
      assert.ok(text.includes(`${flag.description} (default: ${flag.default})\n`), flag.names);
    }
    assert.match(text, /^\.TH DOCKER-CRI 8 "2026-01-31" "docker-cri 1\.2\.3"/);
    for (const command of ["SERVE", "DOCTOR", "DEMO", "LOGS"]) assert.ok(text.includes(`\n.SH ${command}\n`));
  });

  it("is completion with every flag, for bash and zsh", () => {
    const zsh = zshCompletion();
    const bash = new Set(bashCompletion().split(/[ "|)]+/));
    for (const name of names) {
      assert.ok(bash.has(name), name);
      assert.ok(zsh.includes(`'${name}=[`), name);
    }
  });

  it("completes commands, flags and values in bash", () => {
    const complete = (...words: string[]) => {
      const script = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _docker_cri; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const args = ["-c", `${bashCompletion()}\n${script}`, "bash", "docker-cri", ...words];
      return execFileSync("bash", args, { encoding: "utf8" }).trim().split("\n");
    };
    assert.deepEqual(complete("d"), ["doctor", "demo"]);
    assert.deepEqual(complete("serve", "--network-plugin-"), ["--network-plugin-mtu"]);
    assert.deepEqual(complete("serve", "--restrict-oom-score-adj", "=", "t"), ["true"]);
    assert.deepEqual(complete("serve", "--config", "/etc/passw").includes("/etc/passwd"), true);
    assert.deepEqual(complete("logs", "--json"), [""]);
  });

  it("is a configuration file of comments, which show the defaults", async () => {
    const file = await configurationFile();
    assert.deepEqual(parseServeConfig(parse(file) ?? {}, "the file"), parseServeConfig({}, "defaults"));
    const shown = file.replace(/^.*\n\n/, "").replaceAll(/^# /gm, "");
    assert.deepEqual(parseServeConfig(parse(shown), "the file"), parseServeConfig({}, "defaults"));
  });

  it("is scripts that a POSIX shell takes", () => {
    const files = ["debian", "rpm"].flatMap((folder) =>
      readdirSync(join(packaging, folder)).map((name) => join(packaging, folder, name)),
    );
    assert.equal(files.length, 6);
    for (const file of files) execFileSync("sh", ["-n", file]);
  });

  it("is a unit that takes its flags from /etc/default, where the configuration file is named", () => {
    const unit = readFileSync(join(packaging, "systemd", "docker-cri.service"), "utf8");
    assert.match(unit, /^EnvironmentFile=-\/etc\/default\/docker-cri$/m);
    assert.match(unit, /^ExecStart=\/usr\/bin\/env docker-cri serve .* \$DOCKER_CRI_FLAGS$/m);
    const defaults = readFileSync(join(packaging, "default"), "utf8");
    assert.match(defaults, /^DOCKER_CRI_FLAGS="--config \/etc\/docker-cri\/config\.yaml"$/m);
  });
});
