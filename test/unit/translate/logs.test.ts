import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isKind } from "../../../src/base/index.js";
import { parseConfig } from "../../../src/config/index.js";
import { dockerLogConfig } from "../../../src/translate/log-config.js";
import { resolveLogPath } from "../../../src/translate/log-path.js";

describe("resolveLogPath", () => {
  const root = "/var/log/pods/ns_pod_uid";
  const good: [directory: string, path: string, wanted: string][] = [
    [root, "app/0.log", `${root}/app/0.log`],
    [`${root}/`, "app//./0.log", `${root}/app/0.log`],
    [root, "app/../0.log", `${root}/0.log`],
    [root, "/app/0.log", `${root}/app/0.log`],
    [`${root}/../ns_pod_uid`, "..log", `${root}/..log`],
    ["/", "0.log", "/0.log"],
  ];
  for (const [directory, path, wanted] of good) {
    it(`puts ${path} in ${directory}`, () => {
      const resolved = resolveLogPath(directory, path);
      assert.equal(resolved?.path, wanted);
      assert.ok(wanted.startsWith(resolved.root));
    });
  }

  const bad: [directory: string, path: string][] = [
    [root, "../other/0.log"],
    [root, "app/../../0.log"],
    [root, ".."],
    [root, "."],
    [root, "app/.."],
    [root, "a\0b"],
    ["/var/log/\0", "0.log"],
    ["pods", "0.log"],
  ];
  for (const [directory, path] of bad) {
    it(`refuses ${JSON.stringify(path)} in ${JSON.stringify(directory)}`, () => {
      assert.throws(
        () => resolveLogPath(directory, path),
        (error) => isKind(error, "invalid-argument") && error.message.includes(JSON.stringify(path)),
      );
    });
  }

  it("takes an empty part for no log", () => {
    assert.equal(resolveLogPath(root, ""), undefined);
    assert.equal(resolveLogPath("", "0.log"), undefined);
  });
});

describe("dockerLogConfig", () => {
  it("bounds Docker's copy of the log", () => {
    assert.deepEqual(dockerLogConfig(parseConfig({}).logs), {
      driver: "json-file",
      options: { "max-size": "33554432", "max-file": "2" },
    });
    const { logs } = parseConfig({
      logs: { dockerDriver: "local", dockerMaxSizeBytes: 1_000_000, dockerMaxFiles: 1 },
    });
    assert.deepEqual(dockerLogConfig(logs), {
      driver: "local",
      options: { "max-size": "1000000", "max-file": "1", compress: "false" },
    });
  });

  it("uses json-file when kubelet reads Docker's file itself", () => {
    const { logs } = parseConfig({ logs: { mode: "docker-json", dockerDriver: "local" } });
    assert.equal(dockerLogConfig(logs).driver, "json-file");
  });
});
