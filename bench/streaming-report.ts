import { verdict, type Mark } from "./marks.js";
import { transferNames, type StreamingFigures, type TransferFigure } from "./streaming.js";
import { runtimeNames, type RuntimeName } from "./runtimes.js";
import { megabytesText, ratioText, table } from "./tables.js";

const mostOfPeer = {
  /** Of cri-dockerd's time for the same bytes. */
  transfer: 1,
  execFirstByte: 0.9,
  connectionFirstByte: 0.1,
} as const;
const mostStalledBytes = 64 * 1_048_576;

type Figures = Readonly<Record<RuntimeName, StreamingFigures>>;
type Row = readonly [
  what: string,
  value: (figures: StreamingFigures) => string,
  ratio: string,
  mark: Mark | undefined,
];

/** The figures as markdown, with docker-cri's as parts of cri-dockerd's. */
export function streamingMarkdown(figures: Figures): string {
  const rows = rowsOf(figures).map(([what, value, ratio, mark]) => [
    what,
    ...runtimeNames.map((name) => value(figures[name])),
    ratio,
    verdict(mark),
  ]);
  return `### Exec, attach and port-forward\n\n${table(["", ...runtimeNames, "ratio", "target"], rows)}`;
}

/** What must hold of the figures. */
export function streamingMarks(figures: Figures): Mark[] {
  return rowsOf(figures).flatMap(([, , , mark]) => (mark ? [mark] : []));
}

function rowsOf(figures: Figures): Row[] {
  const [ours, theirs] = [figures["docker-cri"], figures["cri-dockerd"]];
  const ratio = (of: (f: StreamingFigures) => number) => of(ours) / of(theirs);
  const ratioRow = (
    what: string,
    of: (f: StreamingFigures) => number,
    text: (value: number) => string,
    most?: number,
  ): Row => {
    const mark =
      most === undefined ? undefined : { what: `${what}, of cri-dockerd's`, value: ratio(of), most };
    return [what, (f) => textOrFailed(of(f), text), ratioText(of(ours), of(theirs)), mark];
  };
  const transfers = transferNames.map((name): Row => {
    const [what, , ...rest] = ratioRow(
      `${name}, seconds a GB`,
      (f) => f.transfers[name].seconds,
      String,
      mostOfPeer.transfer,
    );
    return [what, (f) => transferText(f.transfers[name]), ...rest];
  });
  return [
    ...transfers,
    ratioRow("exec, first byte", (f) => f.execFirstByteMs, msText, mostOfPeer.execFirstByte),
    ratioRow("port-forward, first byte of a session", (f) => f.forwardFirstByteMs, msText),
    ratioRow(
      "port-forward, first byte of a connection",
      (f) => f.connectionFirstByteMs,
      msText,
      mostOfPeer.connectionFirstByte,
    ),
    ratioRow(
      "200 execs at once",
      (f) => f.burstSeconds,
      (value) => `${value.toFixed(1)} s`,
    ),
    boundRow(ours, "of 200 execs failed", (f) => f.burstFailures, String, 0),
    boundRow(
      ours,
      "memory while output is not read",
      (f) => f.stalledOutputBytes,
      grownText,
      mostStalledBytes,
    ),
    boundRow(ours, "memory while input is not read", (f) => f.stalledInputBytes, grownText, mostStalledBytes),
  ];
}

function boundRow(
  ours: StreamingFigures,
  what: string,
  of: (f: StreamingFigures) => number,
  text: (value: number) => string,
  most: number,
): Row {
  return [what, (f) => textOrFailed(of(f), text), "", { what: `docker-cri, ${what}`, value: of(ours), most }];
}

function transferText({ seconds, cpuSeconds }: TransferFigure): string {
  if (!Number.isFinite(seconds)) return "bytes were lost";
  return `${seconds.toFixed(2)} s (${(1000 / seconds).toFixed(0)} MB/s), CPU ${cpuSeconds.toFixed(2)} s`;
}

function textOrFailed(value: number, text: (value: number) => string): string {
  return Number.isNaN(value) ? "failed" : text(value);
}

function msText(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function grownText(bytes: number): string {
  return `+${megabytesText(bytes)}`;
}
