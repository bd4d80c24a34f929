import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { installPackages, run } from "./lab/index.js";

/** Shell that waits for a size of its terminal: a size takes another way than the keys do, and may arrive after them. */
export function untilSize(width: number, height: number): string {
  return `until [ "$(stty size 2>&1)" = "${height} ${width}" ]; do sleep 0.1; done`;
}

/** A terminal with a program in it, as tmux draws it. */
export class Terminal implements AsyncDisposable {
  private constructor(private readonly name: string) {}

  /** @param command For a shell; its exit code is shown once it has ended. */
  static async open(command: string, size: { readonly width: number; readonly height: number }) {
    await installPackages("terminal");
    const terminal = new Terminal(`docker-cri-${randomBytes(4).toString("hex")}`);
    const shown = `${command}; echo "exit code $?"; sleep 600`;
    await terminal.tmux("new-session", "-d", "-x", String(size.width), "-y", String(size.height), shown);
    return terminal;
  }

  /** Types keys by tmux's names: `C-p`, `Enter`; anything else as it is. */
  async type(...keys: string[]): Promise<void> {
    await this.tmux("send-keys", ...keys);
  }

  async resize(width: number, height: number): Promise<void> {
    await this.tmux("resize-window", "-x", String(width), "-y", String(height));
  }

  /** Waits until the screen shows something. @throws Error with the screen after a minute. */
  async shows(wanted: RegExp): Promise<RegExpExecArray> {
    const end = Date.now() + 60_000;
    for (;;) {
      const screen = (await this.tmux("capture-pane", "-p")).trimEnd();
      const found = wanted.exec(screen);
      if (found) return found;
      if (Date.now() > end) throw new Error(`the terminal does not show ${String(wanted)}:\n${screen}`);
      await delay(50);
    }
  }

  /** Asserts that a shell in a terminal of 100 x 30 knows that size, and the next one. */
  async followsItsSize(): Promise<void> {
    await this.shows(/[#$]$/);
    for (const [width, height] of [
      [100, 30],
      [120, 40],
    ] as const) {
      await this.resize(width, height);
      await this.type(untilSize(width, height), "Enter");
      await this.type("clear; stty size", "Enter");
      await this.shows(new RegExp(`^${height} ${width}\n.*[#$]$`, "m"));
    }
  }

  /** The terminal goes, and its program with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.tmux("kill-server");
  }

  private async tmux(...args: string[]): Promise<string> {
    return (await run("tmux", ["-L", this.name, "-f", "/dev/null", ...args])).stdout;
  }
}
