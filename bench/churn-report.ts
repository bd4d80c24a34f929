import type { ChurnFigures } from "./churn.js";
import { verdict, type Mark } from "./marks.js";
import type { SelfReport } from "./shims.js";
import { megabytesText, ratioText, table } from "./tables.js";

const mostGrowth = 1.1;

/** The figures as markdown: what each shim held before and after. */
export function churnMarkdown(figures: readonly ChurnFigures[]): string {
  const rows = figures.map((figure) => {
    const { shim, pods, seconds: took, errors, before, after } = figure;
    const selves = before.self && after.self ? ([before.self, after.self] as const) : undefined;
    const [growth] = shim === "docker-cri" ? marksOf(figure) : [];
    return [
      shim,
      String(pods),
      `${took.toFixed(0)} s`,
      String(errors),
      `${megabytesText(before.rssBytes)} → ${megabytesText(after.rssBytes)}`,
      ratioText(after.rssBytes, before.rssBytes),
      verdict(growth),
      `${before.descriptors} → ${after.descriptors}`,
      `${before.sockets} → ${after.sockets}`,
      selves?.map(timers).join(" → ") ?? "",
      selves?.map(({ heapUsedBytes }) => megabytesText(heapUsedBytes)).join(" → ") ?? "",
    ];
  });
  const head = [
    ...["", "pods", "took", "errors", "RSS", "ratio", "target"],
    ...["descriptors", "sockets", "timers", "heap, collected"],
  ];
  return `### Pods made and removed, four at a time\n\n${table(head, rows)}`;
}

/** What must hold of docker-cri. */
export function churnMarks(figures: readonly ChurnFigures[]): Mark[] {
  return figures.filter(({ shim }) => shim === "docker-cri").flatMap(marksOf);
}

/** The growth of its memory, then what may not be left. */
function marksOf({ pods, errors, before, after }: ChurnFigures): Mark[] {
  const kinds = Object.entries(after.self?.resources ?? {}).map(([kind, count]) => ({
    what: `${kind}, left open`,
    value: count - (before.self?.resources[kind] ?? 0),
    most: 0,
  }));
  return [
    { what: `RSS after ${pods} pods`, value: after.rssBytes / before.rssBytes, most: mostGrowth },
    { what: "errors while pods were made and removed", value: errors, most: 0 },
    { what: "descriptors, left open", value: after.descriptors - before.descriptors, most: 0 },
    { what: "sockets, left open", value: after.sockets - before.sockets, most: 0 },
    ...kinds,
  ];
}

function timers({ resources }: SelfReport): number {
  return resources["Timeout"] ?? 0;
}
