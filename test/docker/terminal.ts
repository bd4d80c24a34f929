import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { installPackages, run } from "./lab/index.js";

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

  /** Waits until the screen shows something. @throws Error with the screen after 20 s. */
  async shows(wanted: RegExp): Promise<RegExpExecArray> {
    const end = Date.now() + 20_000;
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
    await this.type("stty size", "Enter");
    await this.shows(/^30 100\n.*[#$]$/m);
    await this.resize(120, 40);
    // A size takes another way than the keys do, and may arrive after them.
    await this.type('until [ "$(stty size)" = "40 120" ]; do sleep 1; done', "Enter");
    await this.type("clear; stty size", "Enter");
    await this.shows(/^40 120\n.*[#$]$/m);
  }

  /** The terminal goes, and its program with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.tmux("kill-server");
  }

  private async tmux(...args: string[]): Promise<string> {
    return (await run("tmux", ["-L", this.name, "-f", "/dev/null", ...args])).stdout;
  }
}
