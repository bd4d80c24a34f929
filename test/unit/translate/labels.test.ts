import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  ContainerConfigSchema,
  NamespaceMode,
  PodSandboxConfigSchema,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { containerLabels, readLabels, sandboxLabels } from "../../../src/translate/index.js";
import { refuses } from "./refuses.js";

const id = "a".repeat(64);

function sandboxWithPid(pid: NamespaceMode) {
  return create(PodSandboxConfigSchema, { linux: { securityContext: { namespaceOptions: { pid } } } });
}

describe("labels", () => {
  it("writes cri-dockerd's labels on a sandbox", () => {
    const config = create(PodSandboxConfigSchema, {
      ...sandboxWithPid(NamespaceMode.CONTAINER),
      labels: { app: "web" },
      annotations: { "example.com/note": "n" },
    });
    assert.deepEqual(sandboxLabels(config), {
      app: "web",
      "annotation.example.com/note": "n",
      "io.kubernetes.docker.type": "podsandbox",
      "io.kubernetes.container.name": "POD",
    });
  });

  it("writes cri-dockerd's labels on a container, and the log directory", () => {
    const config = create(ContainerConfigSchema, {
      labels: { "io.kubernetes.container.name": "nginx" },
      annotations: { "io.kubernetes.container.hash": "12ab" },
      logPath: "nginx/0.log",
    });
    const sandbox = create(PodSandboxConfigSchema, { logDirectory: "/var/log/pods/shop_web/" });
    assert.deepEqual(containerLabels(config, sandbox, id), {
      "io.kubernetes.container.name": "nginx",
      "annotation.io.kubernetes.container.hash": "12ab",
      "io.kubernetes.docker.type": "container",
      "io.kubernetes.container.logpath": "/var/log/pods/shop_web/nginx/0.log",
      "io.kubernetes.docker.log-directory": "/var/log/pods/shop_web",
      "io.kubernetes.sandbox.id": id,
    });
  });

  for (const [logDirectory, logPath, expected] of [
    ["", "", ""],
    ["/var/log/pods/p", "", ""],
    ["", "c/0.log", ""],
    ["/var/log/pods/p", "c/0.log", "/var/log/pods/p/c/0.log"],
    ["/var/log//pods/p/", "./c/0.log", "/var/log/pods/p/c/0.log"],
  ] as const) {
    it(`joins log folder "${logDirectory}" and path "${logPath}" to "${expected}"`, () => {
      const labels = containerLabels(
        create(ContainerConfigSchema, { logPath }),
        create(PodSandboxConfigSchema, { logDirectory }),
        id,
      );
      assert.equal(labels["io.kubernetes.container.logpath"], expected);
    });
  }

  for (const [logDirectory, logPath] of [
    ["/var/log/pods/p", "../../../etc/cron.d/x"],
    ["/var/log/pods/p", "c/../../x"],
    ["/var/log/pods/p", "c\0"],
    ["var/log", "c"],
  ] as const) {
    it(`refuses log folder "${logDirectory}" with path ${JSON.stringify(logPath)}`, () => {
      refuses("invalid-argument", /log_/, () =>
        containerLabels(
          create(ContainerConfigSchema, { logPath }),
          create(PodSandboxConfigSchema, { logDirectory }),
          id,
        ),
      );
    });
  }

  it("remembers a shared PID namespace, which Docker does not report", () => {
    assert.equal(readLabels(sandboxLabels(sandboxWithPid(NamespaceMode.POD))).sharedPidNamespace, true);
    assert.equal(readLabels(sandboxLabels(create(PodSandboxConfigSchema))).sharedPidNamespace, true);
    assert.equal(
      readLabels(sandboxLabels(sandboxWithPid(NamespaceMode.CONTAINER))).sharedPidNamespace,
      false,
    );
    assert.equal(readLabels(sandboxLabels(sandboxWithPid(NamespaceMode.NODE))).sharedPidNamespace, false);
  });

  it("reads what cri-dockerd wrote", () => {
    assert.deepEqual(
      readLabels({
        app: "web",
        "annotation.a.b/c": "d",
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.container.name": "nginx",
        "io.kubernetes.container.logpath": "/l",
        "io.kubernetes.sandbox.id": id,
      }),
      {
        kind: "container",
        labels: { app: "web", "io.kubernetes.container.name": "nginx" },
        annotations: { "a.b/c": "d" },
        sandboxId: id,
        logPath: "/l",
        sharedPidNamespace: false,
      },
    );
  });

  it("believes a log directory only where the log lies below it: its origin may not be known", () => {
    for (const [directory, read] of [
      ["/var/log/pods/p", "/var/log/pods/p"],
      ["/var/log", "/var/log"],
      ["/var/log/pods/other", undefined],
      ["/", undefined],
      ["", undefined],
    ]) {
      const labels = {
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.container.logpath": "/var/log/pods/p/c/0.log",
        "io.kubernetes.docker.log-directory": directory ?? "",
      };
      assert.equal(readLabels(labels).logDirectory, read);
    }
  });

  it("knows a container that is not ours", () => {
    assert.equal(readLabels({}).kind, undefined);
    assert.equal(readLabels({ "io.kubernetes.docker.type": "volume" }).kind, undefined);
    assert.equal(readLabels({ "com.docker.compose.project": "x" }).kind, undefined);
  });

  it("gives the caller's labels and annotations back, whatever their keys", () => {
    const key = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom(
        "annotation.x",
        "annotation.",
        "io.kubernetes.docker.type",
        "io.kubernetes.sandbox.id",
        "io.kubernetes.container.logpath",
        "io.kubernetes.container.name",
        "io.kubernetes.docker.log-directory",
        "io.kubernetes.docker.pid-namespace",
        "io.kubernetes.docker.label.x",
        "toString",
      ),
    );
    const map = fc.dictionary(key, fc.string({ maxLength: 5 }), { maxKeys: 8, noNullPrototype: true });
    fc.assert(
      fc.property(map, map, (labels, annotations) => {
        const config = { labels, annotations };
        const sandbox = readLabels(sandboxLabels(create(PodSandboxConfigSchema, config)));
        assert.equal(sandbox.kind, "sandbox");
        assert.deepEqual(sandbox.labels, labels);
        assert.deepEqual(sandbox.annotations, annotations);
        const written = containerLabels(
          create(ContainerConfigSchema, config),
          create(PodSandboxConfigSchema),
          id,
        );
        const container = readLabels(written);
        assert.equal(container.kind, "container");
        assert.equal(container.sandboxId, id);
        assert.deepEqual(container.labels, labels);
        assert.deepEqual(container.annotations, annotations);
      }),
    );
  });
});
