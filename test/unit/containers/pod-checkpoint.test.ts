import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { fails, forever, openLab, podConfig } from "./lab.js";

describe("checkpoints of pods", () => {
  it("are refused with what Docker lacks", async () => {
    await using lab = await openLab();
    const containerIds = [await lab.run(forever)];
    const request = { podSandboxId: lab.pod, outputPath: "/checkpoint", containerIds };
    const lacks = /without its file system.*experimental features off/;
    await fails(lab.runtime.checkpointPod(request), Code.FailedPrecondition, lacks);
    const restore = { checkpointPath: "/checkpoint", config: podConfig };
    await fails(lab.runtime.restorePod(restore), Code.FailedPrecondition, lacks);
  });

  it("name the invalid part of a request", async () => {
    await using lab = await openLab();
    const { runtime } = lab;
    const [id, created] = [await lab.run(forever), await lab.create(forever)];
    const config = { metadata: { ...podConfig.metadata, name: "other", uid: "other" } };
    const { podSandboxId: other } = await runtime.runPodSandbox({ config });
    const good = { podSandboxId: lab.pod, outputPath: "/checkpoint", containerIds: [id] };
    const wrong: readonly [object, Code, RegExp][] = [
      [{ podSandboxId: "f00" }, Code.NotFound, /f00/],
      [{ outputPath: "checkpoint" }, Code.InvalidArgument, /output_path.*absolute/],
      [{ containerIds: [] }, Code.InvalidArgument, /at least one/],
      [{ containerIds: [id, id] }, Code.InvalidArgument, /none twice/],
      [{ containerIds: ["f00"] }, Code.NotFound, /f00/],
      [{ containerIds: [created] }, Code.FailedPrecondition, /not running/],
      [{ podSandboxId: other }, Code.InvalidArgument, /does not belong to pod/],
    ];
    for (const [change, code, text] of wrong) {
      await fails(runtime.checkpointPod({ ...good, ...change }), code, text);
    }
    const relative = { checkpointPath: "c", config: podConfig };
    await fails(runtime.restorePod(relative), Code.InvalidArgument, /checkpoint_path.*absolute/);
    await fails(runtime.restorePod({ checkpointPath: "/c" }), Code.InvalidArgument, /metadata/);
  });
});
