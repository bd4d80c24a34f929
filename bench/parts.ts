import { measureChurnOfBoth } from "./churn.js";
import { churnMarkdown, churnMarks } from "./churn-report.js";
import { containersMarkdown, containersMarks, measureContainers } from "./containers.js";
import { imagesMarkdown, imagesMarks, measureImages } from "./images.js";
import { measureLogs } from "./logs.js";
import { logsMarkdown, logsMarks } from "./logs-report.js";
import type { Mark } from "./marks.js";
import type { BenchOptions, PartName } from "./options.js";
import { measurePods } from "./pods.js";
import { podsMarkdown, podsMarks } from "./pods-report.js";
import { measureReadsOfBoth } from "./reads.js";
import { readsMarkdown, readsMarks } from "./reads-report.js";
import { measureStart } from "./start.js";
import { startMarkdown, startMarks } from "./start-report.js";
import { measureStats } from "./stats.js";
import { statsMarkdown, statsMarks } from "./stats-report.js";
import { measureStreaming } from "./streaming.js";
import { streamingMarkdown, streamingMarks } from "./streaming-report.js";

/** What a part has measured: the figures as they are, as tables, and compared with the targets. */
export interface Measured {
  readonly figures: unknown;
  readonly markdown: string;
  readonly marks: readonly Mark[];
}

/** Measures one part; it makes what it needs, and leaves nothing behind. */
export async function measurePart(part: PartName, options: BenchOptions): Promise<Measured> {
  switch (part) {
    case "start": {
      const figures = await measureStart(options);
      return { figures, markdown: startMarkdown(figures, options), marks: startMarks(figures) };
    }
    case "reads": {
      const figures = await measureReadsOfBoth(options);
      return { figures, markdown: readsMarkdown(figures), marks: readsMarks(figures) };
    }
    case "churn": {
      const figures = await measureChurnOfBoth(options);
      return { figures, markdown: churnMarkdown(figures), marks: churnMarks(figures) };
    }
    case "images": {
      const figures = await measureImages(options);
      return { figures, markdown: imagesMarkdown(figures), marks: imagesMarks(figures) };
    }
    case "containers": {
      const figures = await measureContainers(options);
      return { figures, markdown: containersMarkdown(figures), marks: containersMarks(figures) };
    }
    case "logs": {
      const figures = await measureLogs(options);
      return { figures, markdown: logsMarkdown(figures, options), marks: logsMarks(figures, options) };
    }
    case "streaming": {
      const figures = await measureStreaming(options);
      return { figures, markdown: streamingMarkdown(figures), marks: streamingMarks(figures) };
    }
    case "stats": {
      const figures = await measureStats(options);
      return { figures, markdown: statsMarkdown(figures), marks: statsMarks(figures) };
    }
    case "pods": {
      const figures = await measurePods(options);
      return { figures, markdown: podsMarkdown(figures), marks: podsMarks(figures) };
    }
  }
}
