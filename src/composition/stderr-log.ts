import { fstatSync } from "node:fs";
import { pino } from "pino";
import { withoutCredentials, type Logger } from "../base/index.js";
import { processEnvironment, type Environment } from "../config/index.js";

const stderr = 2;

/** The syslog severities of pino's levels from trace (10) to fatal (60). @see sd-daemon(3) */
const severities = [7, 7, 6, 4, 3, 2];

/**
 * The log on standard error, one JSON object for each line. For the journal each line is prefixed with its severity,
 * which the journal strips. Logins are removed from each line.
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

/** True when standard error is the journal, and was not redirected. @see systemd.exec(5) */
function journalIs(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(stderr);
  return stream === `${dev}:${ino}`;
}
