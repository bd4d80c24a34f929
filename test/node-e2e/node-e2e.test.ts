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
    const wish = { programs, folder, focus, skip: "\\[Serial\\]|\\[Slow\\]|\\[Flaky\\]" };
    const specs = await runNodeE2e(lab, { ...wish, processes: 10, timeoutMinutes: minutes });
    const rows = table(specs);
    for (const row of rows) t.diagnostic(row.filter((cell) => cell !== "").join(", "));
    await writeDocTable("node-e2e", [["Specs", "Outcome", "Reason"], ...rows]);
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

/** How many specs came out in the same way for the same reason. A spec without a known reason has a row of its own. */
function table(specs: readonly Spec[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const spec of specs) {
    const reason =
      spec.state === "passed" ? "" : (reasonOf(spec) ?? `${spec.name}: ${spec.message.slice(0, 160)}`);
    const key = JSON.stringify([spec.state, reason]);
    groups.set(key, [...(groups.get(key) ?? []), spec.name]);
  }
  return [...groups]
    .sort(([, one], [, other]) => other.length - one.length)
    .map(([key, names]) => [String(names.length), ...(JSON.parse(key) as string[])]);
}
