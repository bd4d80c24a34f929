import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig } from "../../../src/config/index.js";
import type { DockerInfo } from "../../../src/docker/index.js";
import {
  engineEnvironment,
  recursiveReadOnlySupported,
  resolveRuntime,
} from "../../../src/translate/index.js";
import { cgroupParent, clampOomScoreAdj, speaksApi } from "../../../src/translate/environment.js";
import { environment } from "./engine-environment.js";
import { refuses } from "./refuses.js";

const info: DockerInfo = {
  cgroupDriver: "systemd",
  cgroupVersion: 2,
  containerdImageStore: false,
  defaultRuntime: "runc",
  runtimes: [{ name: "runc" }],
  securityOptions: ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
  kernelVersion: "6.1.0",
  swapLimitSupported: true,
  cdiSpecDirectories: ["/etc/cdi"],
  warnings: [],
};
const facts = { apiVersion: [1, 45], kernelRelease: "5.10.0", oomScoreAdj: -500 } as const;

describe("engineEnvironment", () => {
  it("reads a full answer", () => {
    assert.deepEqual(engineEnvironment({ ...facts, info, config: parseConfig({}) }), {
      cgroupDriver: "systemd",
      cgroupVersion: 2,
      apiVersion: [1, 45],
      runtimes: [{ name: "runc" }],
      defaultRuntime: "runc",
      kernelRelease: "6.1.0",
      swapLimitSupported: true,
      security: { seccomp: true, apparmor: true, selinux: false },
      usernsRemapped: false,
      cdiEnabled: true,
      networkMode: "none",
      logConfig: { driver: "local", options: { "max-size": "33554432", "max-file": "2", compress: "false" } },
      missingHostPath: "create",
    });
  });

  it("knows an engine that remaps users", () => {
    const remapped = { ...info, securityOptions: [...info.securityOptions, "name=userns"] };
    const config = parseConfig({});
    assert.equal(engineEnvironment({ ...facts, info: remapped, config }).usernsRemapped, true);
  });

  it("assumes no feature if the engine reports nothing", () => {
    const bare: DockerInfo = { containerdImageStore: false, runtimes: [], securityOptions: [], warnings: [] };
    const read = engineEnvironment({ ...facts, info: bare, config: parseConfig({}) });
    assert.equal(read.cgroupDriver, "cgroupfs");
    assert.equal(read.cgroupVersion, 1);
    assert.equal(read.kernelRelease, "5.10.0");
    assert.equal(read.swapLimitSupported, false);
    assert.equal(read.cdiEnabled, false);
    assert.deepEqual(read.security, { seccomp: false, apparmor: false, selinux: false });
  });

  it("follows the shim's settings", () => {
    const config = parseConfig({
      restrictOomScoreAdj: true,
      missingHostPath: "refuse",
      network: { plugin: "none" },
      logs: { dockerDriver: "local", dockerMaxFiles: 5 },
    });
    const read = engineEnvironment({ ...facts, info, config });
    assert.equal(read.oomScoreAdjFloor, -500);
    assert.equal(read.missingHostPath, "refuse");
    assert.equal(read.networkMode, "default");
    assert.deepEqual(read.logConfig, {
      driver: "local",
      options: { "max-size": "33554432", "max-file": "5", compress: "false" },
    });
  });
});

describe("a runtime handler", () => {
  for (const [handler, runtime] of [
    ["", undefined],
    ["docker", undefined],
    ["runc", "runc"],
    ["kata", "kata"],
  ] as const) {
    it(`"${handler}" is runtime ${runtime ?? "by default"}`, () => {
      assert.equal(resolveRuntime(handler, environment()), runtime);
    });
  }

  it("that Docker does not know is refused with those it knows", () => {
    refuses("invalid-argument", /"gvisor".*\(runc, kata\)/, () => resolveRuntime("gvisor", environment()));
    refuses("invalid-argument", /\(none\)/, () => resolveRuntime("gvisor", environment({ runtimes: [] })));
  });
});

describe("recursive read-only mounts", () => {
  for (const [name, changes, handler, expected] of [
    ["the default runtime", {}, "", true],
    ["the default runtime by name", {}, "runc", true],
    ["docker", {}, "docker", true],
    ["a runtime that does not say so", {}, "kata", false],
    ["an unknown runtime", {}, "gvisor", false],
    ["no default runtime", { defaultRuntime: "other" }, "", false],
    ["API 1.43", { apiVersion: [1, 43] as const }, "", false],
    ["API 1.44", { apiVersion: [1, 44] as const }, "", true],
    ["API 2.0", { apiVersion: [2, 0] as const }, "", true],
    ["Linux 5.11", { kernelRelease: "5.11.22" }, "", false],
    ["Linux 5.12", { kernelRelease: "5.12-rc1" }, "", true],
    ["Linux 4.19", { kernelRelease: "4.19.0" }, "", false],
    ["an unreadable kernel release", { kernelRelease: "custom" }, "", false],
  ] as const) {
    it(`are ${expected ? "offered" : "not offered"} with ${name}`, () => {
      assert.equal(recursiveReadOnlySupported(environment(changes), handler), expected);
    });
  }
});

describe("the engine's limits", () => {
  it("compare API versions by number", () => {
    assert.equal(speaksApi(environment({ apiVersion: [1, 100] }), 45), true);
    assert.equal(speaksApi(environment({ apiVersion: [1, 9] }), 45), false);
  });

  it("raise an oom score to the floor, where there is one", () => {
    assert.equal(clampOomScoreAdj(-998, environment()), -998);
    assert.equal(clampOomScoreAdj(-998, environment({ oomScoreAdjFloor: -500 })), -500);
    assert.equal(clampOomScoreAdj(10, environment({ oomScoreAdjFloor: -500 })), 10);
  });

  for (const [driver, path, expected] of [
    ["cgroupfs", "", undefined],
    ["systemd", "", undefined],
    ["cgroupfs", "/kubepods/burstable/podx", "/kubepods/burstable/podx"],
    ["systemd", "/kubepods.slice/kubepods-podx.slice", "kubepods-podx.slice"],
    ["systemd", "kubepods-podx.slice/", "kubepods-podx.slice"],
  ] as const) {
    it(`name the cgroup parent "${path}" under ${driver}`, () => {
      assert.equal(cgroupParent(path, environment({ cgroupDriver: driver })), expected);
    });
  }

  it("show when kubelet and Docker use two cgroup drivers", () => {
    for (const path of ["/kubepods/podx", "/"]) {
      refuses("invalid-argument", /cgroupDriver to systemd/, () =>
        cgroupParent(path, environment({ cgroupDriver: "systemd" })),
      );
    }
  });
});
