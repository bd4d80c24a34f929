import { verdict, type Mark } from "./marks.js";
import type { PodFigure } from "./pods.js";
import { ratioText, table } from "./tables.js";

const mostOfPeer = 1;
const mostOfBare = 1.05;

/** The figures as markdown: times, as parts of cri-dockerd's and of the bare calls'. */
export function podsMarkdown(figures: readonly PodFigure[]): string {
  const rows = figures.map((figure) => {
    const { network, rpc, oursMs, theirsMs, bareMs } = figure;
    const [ofPeer, ofBare] = marksOf(figure);
    return [
      rpc,
      network,
      `${oursMs.toFixed(1)} / ${theirsMs.toFixed(1)}`,
      ratioText(oursMs, theirsMs),
      verdict(ofPeer),
      bareMs.toFixed(1),
      ratioText(oursMs, bareMs),
      verdict(ofBare),
    ];
  });
  const head = ["RPC", "network", "p50 ms", "ratio", "target", "bare calls, ms", "ratio", "target"];
  return `### Pods, one by one: docker-cri / cri-dockerd\n\n${table(head, rows)}`;
}

/** What must hold of the figures. */
export function podsMarks(figures: readonly PodFigure[]): Mark[] {
  return figures.flatMap(marksOf);
}

function marksOf({ network, rpc, oursMs, theirsMs, bareMs }: PodFigure): Mark[] {
  const what = `${rpc} with network ${network}`;
  return [
    { what: `${what}, of cri-dockerd's time`, value: oursMs / theirsMs, most: mostOfPeer },
    { what: `${what}, of the bare calls'`, value: oursMs / bareMs, most: mostOfBare },
  ];
}
