import { cribench, timed, withLab } from "../test/docker/lab/index.js";
import { measureChurn, type ChurnFigures } from "./churn.js";
import type { BenchOptions } from "./options.js";
import { measureReads, type ReadFigures } from "./reads.js";
import { alone, startOurs, startPeer, type MeasuredShim } from "./shims.js";

/** What the two shims showed on the same dockerd. */
export interface PeerFigures {
  readonly engineVersion: string;
  readonly reads: readonly ReadFigures[];
  readonly churn: readonly ChurnFigures[];
}

const makersAtOnce = 4;

/** Measures docker-cri and cri-dockerd in turn on one dockerd, where both see the same pods. */
export async function measureAgainstPeer(options: BenchOptions): Promise<PeerFigures> {
  return await withLab(async (lab) => {
    const dockerd = await lab.dockerd({ name: "bench", engine: options.engine, liftNegativeOomScore: true });
    const peer = await startPeer(lab, dockerd);
    const ours = await startOurs(lab, dockerd, options.program);
    const shims = [peer, ours];
    const reads: ReadFigures[] = [];
    let made = 0;
    for (const pods of [...options.pods].sort((a, b) => a - b)) {
      await timed(`making ${pods - made} pods`, () => makePods(peer, pods - made));
      made = pods;
      reads.push(
        ...(await timed(`reading with ${pods} pods`, () =>
          measureReads(dockerd, shims, pods, options.rounds),
        )),
      );
    }
    await timed(`removing ${made} pods`, () => removePods(peer));
    const churn: ChurnFigures[] = [];
    for (const shim of options.churn > 0 ? [ours, peer] : []) {
      const figures = () => alone(shim, shims, () => measureChurn(shim, options.churn));
      churn.push(await timed(`${options.churn} pods through ${shim.name}`, figures));
    }
    return { engineVersion: dockerd.engine.version, reads, churn };
  });
}

async function makePods(shim: MeasuredShim, count: number): Promise<void> {
  if (count === 0) return;
  const step = { rpc: "MakePods", calls: count, callers: makersAtOnce, hostNetwork: true, maxSeconds: 1_800 };
  const results = await cribench(shim.endpoint, [step], { timeoutMs: 1_900_000 });
  for (const { rpc, calls, firstError } of results)
    if (calls !== count) throw new Error(`${shim.name}: ${calls} of ${count} ${rpc}: ${firstError ?? ""}`);
}

async function removePods(shim: MeasuredShim): Promise<void> {
  const step = { rpc: "RemovePods", callers: makersAtOnce, maxSeconds: 1_800 };
  await cribench(shim.endpoint, [step], { timeoutMs: 1_900_000 });
}
