import "reflect-metadata";
import assert from "node:assert/strict";
import { pino } from "pino";
import { parseConfig, type ShimConfigInput } from "../../../src/config/index.js";
import type { DockerService } from "../../../src/docker/index.js";
import { MemoryHost } from "../../../src/drivers/memory/index.js";
import type { Host, HostLogFiles, LogFile } from "../../../src/host/index.js";
import { ContainerLogs, type LogTarget } from "../../../src/logs/index.js";
import { formatRfc3339Nanos } from "../../../src/base/index.js";
import type { LogFrame } from "../../../src/docker/index.js";
import { ScriptedLog } from "./scripted-log.js";

export const root = "/var/log/pods/ns_pod_uid";
export const path = `${root}/app/0.log`;

export interface SaidLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A node in memory, one container, and shims that come and go. */
export class LogLab implements AsyncDisposable {
  readonly docker = new ScriptedLog();
  readonly host = new MemoryHost();
  readonly files = new MortalLogFiles(this.host.logFiles);
  /** What the shims have said in their log. */
  readonly lines: SaidLine[] = [];
  readonly target: LogTarget = { id: this.docker.id, logPath: path, logRoot: root };
  private readonly shims: ContainerLogs[] = [];

  /** A shim's logs, with nothing started. */
  shim(logs: ShimConfigInput["logs"] = {}): ContainerLogs {
    const isAlive = this.files.life();
    const stream = {
      write: (line: string) => {
        if (isAlive()) this.lines.push(JSON.parse(line) as SaidLine);
      },
    };
    const { files, trees, processes, kernel, namespaces, network } = this.host;
    const logFiles = this.files.ofNewShim();
    const host: Host = { files, trees, processes, kernel, namespaces, network, logFiles };
    const service = { containers: this.docker } as unknown as DockerService;
    const shim = new ContainerLogs(service, host, parseConfig({ logs }), pino({ level: "debug" }, stream));
    this.shims.push(shim);
    return shim;
  }

  /** A shim that finds the container running or ended. */
  async resumed(): Promise<ContainerLogs> {
    const shim = this.shim();
    await shim.resume([this.target]);
    return shim;
  }

  /** Kills the shim, as kill -9 does: what it writes from now on reaches no file. */
  kill(shim: ContainerLogs): void {
    this.files.killAll();
    this.docker.breakStreams();
    this.shims.splice(this.shims.indexOf(shim), 1);
  }

  read(of = path): string {
    return this.host.tree.exists(of) ? this.host.tree.read(of).toString("latin1") : "";
  }

  warnings(): SaidLine[] {
    return this.lines.filter((line) => line.level >= 40);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.shims.map((shim) => shim.close()));
    assert.equal(this.docker.openStreams, 0, "no stream to Docker is left open");
  }
}

/** What the file must hold: Docker's entries, one line each. */
export function expected(entries: readonly LogFrame[]): string {
  return entries
    .map(({ timestampNanos, stream, data }) => {
      const text = Buffer.from(data).toString("latin1");
      const [tag, shown] = text.endsWith("\n") ? ["F", text.slice(0, -1)] : ["P", text];
      return `${formatRfc3339Nanos(timestampNanos)} ${stream} ${tag} ${shown}\n`;
    })
    .join("");
}

/** Waits until something holds. */
export async function until(what: string, holds: () => boolean, ms = 20_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Log files of processes that can be killed, of a disk that can be full and one that can be slow. */
export class MortalLogFiles {
  /** How many bytes the disk still takes. */
  freeBytes = Infinity;
  delayMs = 0;
  /** The next write is the last of its process: so many of its bytes reach the file. */
  killWithinWrite: { readonly bytes: number; readonly onDeath: () => void } | undefined;
  openFiles = 0;
  writtenBytes = 0;
  private generation = 0;

  constructor(private readonly inner: HostLogFiles) {}

  killAll(): void {
    this.generation++;
    this.openFiles = 0;
  }

  /** Tells whether what is begun now has been killed. */
  life(): () => boolean {
    const { generation } = this;
    return () => generation === this.generation;
  }

  ofNewShim(): HostLogFiles {
    const isAlive = this.life();
    // A dead process does nothing, and nobody hears of it.
    const alive = async <T>(work: () => Promise<T>): Promise<T> => {
      if (!isAlive()) await new Promise<never>(() => undefined);
      const result = await work();
      if (!isAlive()) await new Promise<never>(() => undefined);
      return result;
    };
    const wrap = (file: LogFile): LogFile => {
      this.openFiles++;
      let isOpen = true;
      return {
        append: (data) => alive(() => this.append(file, data)),
        read: (offset, length) => alive(() => file.read(offset, length)),
        truncate: (size) => alive(() => file.truncate(size)),
        stat: () => alive(() => file.stat()),
        close: () =>
          alive(async () => {
            if (isOpen) this.openFiles--;
            isOpen = false;
            await file.close();
          }),
      };
    };
    return {
      openAppend: (at, options) => alive(async () => wrap(await this.inner.openAppend(at, options))),
      openExisting: (at, options) =>
        alive(async () => {
          const file = await this.inner.openExisting(at, options);
          return file && wrap(file);
        }),
      makeLink: (to, at, options) => alive(() => this.inner.makeLink(to, at, options)),
      removeLink: (at, options) => alive(() => this.inner.removeLink(at, options)),
      identityOf: (at) => alive(() => this.inner.identityOf(at)),
      versionOf: (at) => alive(() => this.inner.versionOf(at)),
    };
  }

  private async append(file: LogFile, data: Uint8Array): Promise<number> {
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    const { killWithinWrite } = this;
    if (killWithinWrite) {
      this.killWithinWrite = undefined;
      await file.append(data.subarray(0, killWithinWrite.bytes));
      killWithinWrite.onDeath();
      return data.length;
    }
    if (this.freeBytes <= 0) {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    }
    const taken = Math.min(data.length, this.freeBytes);
    this.freeBytes -= taken;
    this.writtenBytes += taken;
    return await file.append(data.subarray(0, taken));
  }
}
