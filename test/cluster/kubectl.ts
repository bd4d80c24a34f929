import assert from "node:assert/strict";
import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { kubernetesProgram, run, waitUntil, type CommandOptions } from "../docker/lab/index.js";
import type { Pod } from "../kubelet/pods.js";

/** kubectl as a user of the cluster has it. */
export class Kubectl {
  private constructor(
    private readonly program: string,
    private readonly kubeconfig: string,
  ) {}

  /** @param kubeconfig Of the user whose commands these are. */
  static async prepare(kubeconfig: string): Promise<Kubectl> {
    return new Kubectl(await kubernetesProgram("cmd/kubectl", "1.36"), kubeconfig);
  }

  /** The command line, for a shell. */
  line(...args: readonly string[]): string {
    return [this.program, "--kubeconfig", this.kubeconfig, ...args].join(" ");
  }

  /** Runs a command to its end, within five minutes. @throws CommandError as `run` does. */
  async run(args: readonly string[], options: CommandOptions = {}) {
    return await run(this.program, ["--kubeconfig", this.kubeconfig, ...args], {
      timeoutMs: 300_000,
      ...options,
    });
  }

  /** A command's standard output. @throws CommandError when it fails. */
  async out(...args: readonly string[]): Promise<string> {
    return (await this.run(args)).stdout;
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.out(...args, "-o", "json")) as T;
  }

  /** Creates objects, or changes those that are there. */
  async apply(...items: readonly object[]): Promise<void> {
    const input = JSON.stringify({ apiVersion: "v1", kind: "List", items });
    await this.run(["apply", "-f", "-"], { input });
  }

  /** Starts a command that goes on, such as `logs -f`. */
  start(...args: readonly string[]): ChildProcessByStdio<Writable, Readable, Readable> {
    return spawn(this.program, ["--kubeconfig", this.kubeconfig, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  async pod(name: string): Promise<Pod> {
    return await this.json<Pod>("get", "pod", name);
  }

  async pods(selector: string): Promise<readonly Pod[]> {
    return (await this.json<{ readonly items: readonly Pod[] }>("get", "pods", "-l", selector)).items;
  }

  /** Waits until a pod is as asked for. @throws AssertionError with its last status. */
  async untilPod(name: string, holds: (pod: Pod) => boolean, withinMs = 180_000): Promise<Pod> {
    return await this.until(`pod ${name}`, async () => await this.pod(name), holds, withinMs);
  }

  /** Asks until the answer is as wanted. @throws AssertionError with the last answer, or with why there was none. */
  async until<T>(
    what: string,
    ask: () => Promise<T>,
    holds: (answer: T) => boolean,
    withinMs = 180_000,
  ): Promise<T> {
    let last: { readonly answer: T } | undefined;
    let error: unknown;
    const done = await waitUntil(
      async () => {
        try {
          last = { answer: await ask() };
          return holds(last.answer);
        } catch (failure) {
          error = failure;
          return false;
        }
      },
      withinMs,
      300,
    );
    const seen = last === undefined ? String(error) : JSON.stringify(last.answer, undefined, 1);
    assert.ok(done && last, `${what}: ${holds.toString()}: ${seen}`);
    return last.answer;
  }
}
