import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { basicImageNames, run, type Dockerd, type Lab } from "./lab/index.js";

/** Lines that one token lets through. */
export const burstLines = 5_000;

// The token is read before each burst, so that the test decides how far the container comes.
const program = `BEGIN {
  pad = "x"; for (i = 0; i < 17; i++) pad = pad pad
  srand(seed)
  for (n = 1; n <= lines; n++) {
    if (n % burst == 1) getline token < "/control/tokens"
    size = n % 1000 == 0 ? int(rand() * 102400) : n % 7 == 0 ? 0 : int(rand() * 60)
    line = n ":" substr(pad, 1, size) ":" n
    if (n % 3 == 0) print line > "/dev/stderr"; else print line
    if (n % burst == 0) fflush()
  }
  printf "%s", "the end has no newline"
}`;

/** Starts a container that reads from /control/tokens, a pipe, when it may go on. */
export async function startWithTokens(
  lab: Lab,
  dockerd: Dockerd,
  {
    control,
    flags,
    command,
  }: { readonly control: string; readonly flags: readonly string[]; readonly command: readonly string[] },
): Promise<{ id: string; tokens: FileHandle }> {
  await run("mkdir", ["-p", control]);
  await run("mkfifo", [join(control, "tokens")]);
  // Opened for both, a pipe waits for nobody and never ends.
  const tokens = await open(join(control, "tokens"), "r+");
  lab.defer("the tokens", () => tokens.close());
  const { stdout } = await dockerd.docker([
    ...["run", "--detach", ...flags, "--volume", `${control}:/control`, basicImageNames.busybox],
    ...command,
  ]);
  return { id: stdout.trim(), tokens };
}

/** A container that says numbered lines on both streams, 0 to 100 KiB long, burst by burst. */
export class CountingContainer implements AsyncDisposable {
  private given = 0;

  private constructor(
    readonly id: string,
    readonly lines: number,
    private readonly tokens: FileHandle,
  ) {}

  static async start(
    lab: Lab,
    dockerd: Dockerd,
    options: {
      readonly lines: number;
      readonly maxSize?: string;
      readonly maxFile?: number;
      readonly control?: string;
      /** Docker's log driver; json-file by default. */
      readonly driver?: "json-file" | "local";
    },
  ): Promise<CountingContainer> {
    const { lines, maxSize = "2g", maxFile = 1, driver = "json-file" } = options;
    const control = join(dockerd.folder, options.control ?? "control");
    const flags = ["--log-driver", driver, "--log-opt", `max-size=${maxSize}`];
    if (driver === "local") flags.push("--log-opt", "compress=false");
    const { id, tokens } = await startWithTokens(lab, dockerd, {
      control,
      flags: [...flags, "--log-opt", `max-file=${maxFile}`],
      command: ["awk", "-v", `lines=${lines}`, "-v", `burst=${burstLines}`, "-v", "seed=42", program],
    });
    return new CountingContainer(id, lines, tokens);
  }

  get bursts(): number {
    return Math.ceil(this.lines / burstLines);
  }

  get burstsLeft(): number {
    return this.bursts - this.given;
  }

  /** How many lines it may have said by now. */
  get saidLines(): number {
    return Math.min(this.given * burstLines, this.lines);
  }

  /** Lets some more bursts through. */
  async say(bursts: number): Promise<void> {
    const now = Math.min(bursts, this.burstsLeft);
    this.given += now;
    await this.tokens.write("go\n".repeat(now));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tokens.close();
  }
}

/** The numbers that a log holds, as they are found in it. */
export class Numbers {
  /** How often a number came that was not greater than the last of its stream. */
  backwards = 0;
  count = 0;
  /** Lines that the container did not say: pieces of some that it did. */
  readonly strange: string[] = [];
  ended = false;
  private readonly last = { stdout: 0, stderr: 0 };

  add(stream: "stdout" | "stderr", text: Buffer, partial: boolean): void {
    const [, begin, end] = /^(\d+):x*:(\d+)$/.exec(text.toString("latin1")) ?? [];
    const number = Number(begin ?? 0);
    const isWhole = !partial && number > 0 && begin === end;
    if (partial && stream === "stdout" && text.toString() === "the end has no newline") this.ended = true;
    else if (!isWhole || (number % 3 === 0 ? "stderr" : "stdout") !== stream) {
      this.strange.push(`${stream} ${partial} ${text.toString("latin1", 0, 100)}`);
    } else {
      if (number <= this.last[stream]) this.backwards++;
      this.last[stream] = number;
      this.count++;
    }
  }
}
