import { fstatSync } from "node:fs";
import { pino } from "pino";
import { withoutCredentials, type Logger } from "../base/index.js";
import { processEnvironment, type Environment } from "../config/index.js";

const stderr = 2;

/** syslog's severities of pino's levels from trace (10) to fatal (60). @see sd-daemon(3) */
const severities = [7, 7, 6, 4, 3, 2];

/**
 * The log on standard error, a JSON object a line. The journal gets each line's severity in front, which it takes off.
 * Logins are taken out of each line, whatever part of docker-cri has written it.
 */
export function stderrLog(level: string, environment: Environment = processEnvironment()): Logger {
  const isJournal = journalIs(environment.JOURNAL_STREAM);
  const streamWrite = (line: string) => (isJournal ? severityOf(line) : "") + withoutCredentials(line);
  return pino({ level, hooks: { streamWrite } }, pino.destination({ fd: stderr, sync: false }));
}

/** Pino begins a line with its level. */
function severityOf(line: string): string {
  const level = Number(line.slice('{"level":'.length, line.indexOf(",")));
  return `<${severities[Math.floor(level / 10) - 1] ?? 6}>`;
}

/** True when standard error is the journal, and not a terminal or a file that it was led to. @see systemd.exec(5) */
function journalIs(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(stderr);
  return stream === `${dev}:${ino}`;
}
