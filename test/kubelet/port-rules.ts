import { run } from "../docker/lab/index.js";

/**
 * Removes the rules and chains that CNI's plugins have made for the pods of a network. A kubelet whose test ends early
 * has not ended its pods, and their ports would lead into the pods of the next test.
 */
export async function removePortRules(network: string): Promise<void> {
  for (const suffix of ["", "6"]) {
    const tool = `ip${suffix}tables`;
    const { stdout } = await run(`${tool}-save`, ["-t", "nat"], { allowFailure: true });
    const chains = new Set<string>();
    for (const rule of stdout.split("\n").filter((line) => line.includes(`name: \\"${network}\\"`))) {
      const words = [...rule.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
        ([, quoted, plain]) => quoted?.replaceAll('\\"', '"') ?? plain ?? "",
      );
      await run(tool, ["-w", "-t", "nat", "-D", ...words.slice(1)], { allowFailure: true });
      const target = words[words.indexOf("-j") + 1] ?? "";
      if (/^CNI-[0-9a-f]{8}|^CNI-DN-/.test(target)) chains.add(target);
    }
    for (const action of ["-F", "-X"])
      for (const chain of chains) await run(tool, ["-w", "-t", "nat", action, chain], { allowFailure: true });
  }
}
