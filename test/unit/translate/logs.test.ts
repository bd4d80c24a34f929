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

  const lengths: [directory: string, path: string, isTaken: boolean][] = [
    [root, `${"d".repeat(255)}/0.log`, true],
    [root, `${"d".repeat(256)}/0.log`, false],
    [`/${"d".repeat(256)}`, "0.log", false],
    [root, "f".repeat(235), true],
    [root, "f".repeat(236), false],
    [root, "\u00e9".repeat(118), false],
    [root, `${"d/".repeat(2_000)}0.log`, true],
    [root, `${"d/".repeat(2_030)}0.log`, false],
  ];
  for (const [directory, path, isTaken] of lengths) {
    const what = `a path of ${directory.length} and ${path.length} characters, ${path.slice(0, 3)}…`;
    it(`${isTaken ? "takes" : "refuses"} ${what}`, () => {
      if (isTaken) assert.ok(resolveLogPath(directory, path));
      else
        assert.throws(
          () => resolveLogPath(directory, path),
          (error) => isKind(error, "invalid-argument") && /too long/.test(error.message),
        );
    });
  }

  it("takes an empty part for no log", () => {
    assert.equal(resolveLogPath(root, ""), undefined);
    assert.equal(resolveLogPath("", "0.log"), undefined);
  });
});

describe("dockerLogConfig", () => {
  const docker20: readonly [number, number] = [1, 41];
  const docker23: readonly [number, number] = [1, 42];

  it("bounds Docker's copy of the log, and keeps every byte where the engine can", () => {
    assert.deepEqual(dockerLogConfig(parseConfig({}).logs, docker20), {
      driver: "json-file",
      options: { "max-size": "33554432", "max-file": "2" },
    });
    assert.deepEqual(dockerLogConfig(parseConfig({}).logs, docker23), {
      driver: "local",
      options: { "max-size": "33554432", "max-file": "2", compress: "false" },
    });
  });

  it("uses the driver that the configuration names", () => {
    const { logs } = parseConfig({
      logs: { dockerDriver: "local", dockerMaxSizeBytes: 1_000_000, dockerMaxFiles: 1 },
    });
    assert.deepEqual(dockerLogConfig(logs, docker20), {
      driver: "local",
      options: { "max-size": "1000000", "max-file": "1", compress: "false" },
    });
    const { logs: json } = parseConfig({ logs: { dockerDriver: "json-file" } });
    assert.equal(dockerLogConfig(json, docker23).driver, "json-file");
  });

  it("uses json-file when kubelet reads Docker's file itself", () => {
    for (const dockerDriver of ["local", undefined] as const) {
      const { logs } = parseConfig({ logs: { mode: "docker-json", dockerDriver } });
      assert.equal(dockerLogConfig(logs, docker23).driver, "json-file");
    }
  });
});
