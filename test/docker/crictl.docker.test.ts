import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { serveUnixSocket } from "../../src/adapters/unix-socket/index.js";
import { createShim } from "../../src/index.js";
import { podLife } from "../wire/pod-life.js";
import { CrictlCri } from "./crictl-cri.js";
import { crictl, run, v1alpha2Program, withLab } from "./lab/index.js";

describe("crictl over the Unix socket, on a real dockerd", () => {
  it("lives a pod's whole life, and docker ps agrees at each step; so does a client of runtime.v1alpha2", async () => {
    await withLab(async (lab) => {
      const [program, dockerd, registry] = await Promise.all([crictl(), lab.dockerd(), lab.registry()]);
      const image = registry.nameOf("busybox:1.36");
      await dockerd.docker(["tag", "busybox:1.36", image]);
      await dockerd.docker(["push", image]);
      await dockerd.docker(["rmi", image]);
      await using shim = await createShim({
        engine: { kind: "docker", endpoint: dockerd.endpoint },
        network: { plugin: "none" },
        restrictOomScoreAdj: true,
        rootDirectory: `${dockerd.folder}/shim`,
        logLevel: "warn",
      });
      const path = `${dockerd.folder}/cri.sock`;
      await using server = await serveUnixSocket(shim, { path });
      assert.ok(server);
      const cri = new CrictlCri({ program, endpoint: `unix://${path}` });
      lab.defer("crictl's files", () => cri.close());
      await podLife(cri, {
        engineVersion: dockerd.engine.version,
        image,
        agree: async (expected) => {
          const { stdout } = await dockerd.docker([
            "ps",
            "-a",
            "--no-trunc",
            "--format",
            "{{.ID}} {{.State}}",
          ]);
          const lines = stdout.split("\n").filter((line) => line !== "");
          assert.deepEqual([...lines].sort(), [...expected].map(([id, state]) => `${id} ${state}`).sort());
        },
      });
      // The client of kubelets before 1.26, with the grpc-go of their time.
      const args = ["-endpoint", `unix://${path}`, "-image", "busybox:1.36"];
      const { stdout } = await run(await v1alpha2Program(), args);
      assert.deepEqual(JSON.parse(stdout), {
        runtimeApiVersion: "v1",
        images: ["busybox:1.36"],
        pods: ["former SANDBOX_READY"],
        containers: ["main"],
        state: "CONTAINER_RUNNING",
        stdout: "here\n",
        podsAfterwards: 0,
        unknownPod: "NotFound",
      });
    });
  });
});
