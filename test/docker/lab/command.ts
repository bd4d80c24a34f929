import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import type { Readable } from "node:stream";

/** What a command printed, and how it ended. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** How to run a command. */
export interface CommandOptions {
  readonly cwd?: string;
  /** Laid over this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Fed to standard input, which is otherwise empty. */
  readonly input?: string | Buffer | Readable;
  /** The command is killed after this time. Default: ten minutes. */
  readonly timeoutMs?: number;
  /** Answer a non-zero exit code instead of throwing. */
  readonly allowFailure?: boolean;
  /** Append standard output and standard error to this file as they come. */
  readonly logPath?: string;
}

/** A command that could not be started, failed, or was killed for taking too long. */
export class CommandError extends Error {
  override readonly name = "CommandError";

  constructor(
    readonly command: string,
    readonly result: CommandResult,
    reason: string,
  ) {
    const output = (result.stderr.trim() || result.stdout.trim()).slice(-2000);
    super(`${command}: ${reason}${output === "" ? "" : `\n${output}`}`);
  }
}

/**
 * Runs a command to its end.
 * @throws CommandError when it cannot be started, is killed, or exits non-zero without `allowFailure`.
 */
export async function run(
  command: string,
  args: readonly string[] = [],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return await new Promise((resolve, reject) => {
    const line = [command, ...args].join(" ").slice(0, 300);
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const log =
      options.logPath === undefined ? undefined : createWriteStream(options.logPath, { flags: "a" });
    let stdout = "";
    let stderr = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, options.timeoutMs ?? 600_000);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      log?.write(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      log?.write(text);
    });
    // A command that does not read its input to the end is judged by its exit code.
    child.stdin.on("error", () => undefined);
    feed(child.stdin, options.input);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(new CommandError(line, { stdout, stderr, exitCode: -1 }, error.message));
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      log?.end();
      const result = { stdout, stderr, exitCode: code ?? -1 };
      if (late) reject(new CommandError(line, result, "took too long and was killed"));
      else if (code !== 0 && options.allowFailure !== true)
        reject(
          new CommandError(line, result, signal === null ? `exit code ${code ?? -1}` : `ended by ${signal}`),
        );
      else resolve(result);
    });
  });
}

function feed(stdin: NodeJS.WritableStream, input: CommandOptions["input"]): void {
  if (input === undefined) stdin.end();
  else if (typeof input === "string" || Buffer.isBuffer(input)) stdin.end(input);
  else input.pipe(stdin);
}

/** Whether a command of this name is found on PATH. */
export async function isOnPath(command: string): Promise<boolean> {
  const { exitCode } = await run("/bin/sh", ["-c", 'command -v "$1" >/dev/null', "sh", command], {
    allowFailure: true,
  });
  return exitCode === 0;
}
