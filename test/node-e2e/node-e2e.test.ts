import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, describe, it } from "node:test";
import { imageSet, kubeletProgram, labPath, nodeE2ePrograms, openLab } from "../docker/lab/index.js";
import { writeDocTable } from "../support/doc-tables.js";
import { known } from "./known.js";
import { runNodeE2e, type Spec } from "./run.js";

const lab = openLab();
after(async () => {
  await lab.close();
});

const focus = process.env["DOCKER_CRI_NODE_E2E_FOCUS"] ?? "\\[NodeConformance\\]";
const minutes = Number(process.env["DOCKER_CRI_NODE_E2E_MINUTES"] ?? "60");

describe("the node e2e suite of Kubernetes 1.36", { timeout: (minutes + 60) * 60_000 }, () => {
  it("passes what this machine can run", async (t) => {
    const programs = { ...(await nodeE2ePrograms("1.36")), kubelet: await kubeletProgram("1.36") };
    await imageSet("node-e2e");
    const folder = await labPath("node-e2e", String(process.pid));
    await mkdir(folder, { recursive: true });
    const specs = await runNodeE2e(lab, {
      programs,
      folder,
      focus,
      skip: "\\[Serial\\]|\\[Slow\\]|\\[Flaky\\]",
      processes: 6,
      timeoutMinutes: minutes,
    });
    const groups = grouped(specs);
    for (const [outcome, count] of groups) t.diagnostic(`${count} specs: ${outcome}`);
    await writeDocTable("node-e2e", [
      ["Outcome", "Specs"],
      ...[...groups].map(([outcome, count]) => [outcome, String(count)]),
    ]);
    const failed = specs.filter((spec) => spec.state === "failed" && reasonOf(spec) === undefined);
    assert.deepEqual(
      failed.map(({ name, message }) => `${name}: ${message}`),
      [],
    );
    assert.ok(
      specs.some(({ state }) => state === "passed"),
      "no spec passed",
    );
  });
});

function reasonOf({ name, message }: Spec): string | undefined {
  return known.find(([pattern]) => pattern.test(`${name}: ${message}`))?.[1];
}

/** How many specs came out in the same way, for the same reason. */
function grouped(specs: readonly Spec[]): Map<string, number> {
  const groups = new Map<string, number>();
  for (const spec of specs) {
    const reason =
      spec.state === "passed" ? undefined : (reasonOf(spec) ?? `${spec.name}: ${spec.message.slice(0, 160)}`);
    const outcome = reason === undefined ? "passed" : `${spec.state}: ${reason}`;
    groups.set(outcome, (groups.get(outcome) ?? 0) + 1);
  }
  return new Map([...groups].sort(([, one], [, other]) => other - one));
}
