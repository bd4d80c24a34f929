import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { run } from "./lab/index.js";

const pluginFolder = "/usr/lib/cni";

/** Namespaces of this run; those of a run that was killed are removed by the next. */
const prefix = `dcnet-${process.pid}-`;

/** A network namespace that stands for the node, so that nothing of the real node's network is touched. */
export const node = `${prefix}node`;

export interface TestPod {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly netns: string;
  readonly netnsPath: string;
}

/** A pod with a namespace of its own, and no network yet. */
export async function makePod(): Promise<TestPod> {
  const id = randomBytes(32).toString("hex");
  const netns = `${prefix}${id.slice(0, 12)}`;
  await addNamespace(netns);
  const identity = { name: `pod-${id.slice(0, 6)}`, namespace: "test", uid: id.slice(0, 32) };
  return { id, ...identity, netns, netnsPath: `/run/netns/${netns}` };
}

/** A line of shell that runs a plugin on the node. */
export function onNodeLine(plugin: string): string {
  return `exec nsenter --net=/run/netns/${node} ${pluginFolder}/${plugin}`;
}

export async function addNamespace(name: string): Promise<void> {
  await run("ip", ["netns", "add", name]);
  await run("ip", ["-n", name, "link", "set", "lo", "up"]);
}

/** Removes the namespaces of this run. */
export async function removeOwnNamespaces(): Promise<void> {
  await removeNamespaces((name) => name.startsWith(prefix));
}

/** Removes the namespaces of runs that were killed. */
export async function removeAbandonedNamespaces(): Promise<void> {
  await removeNamespaces((name) => {
    const owner = /^dcnet-(\d+)-/.exec(name)?.[1];
    return owner !== undefined && !isRunning(Number(owner));
  });
}

async function removeNamespaces(isOurs: (name: string) => boolean): Promise<void> {
  const { stdout } = await run("ip", ["netns", "list"], { allowFailure: true });
  const names = stdout.split("\n").flatMap((line) => line.split(" ")[0] ?? []);
  for (const name of names.filter((each) => each !== "" && isOurs(each))) {
    await run("ip", ["netns", "del", name], { allowFailure: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** What a command prints in a namespace. */
export async function output(netns: string, command: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run("nsenter", [`--net=/run/netns/${netns}`, command, ...args]);
  return stdout;
}

const server = `
  const server = require("net").createServer((socket) => socket.on("error", () => {}).end(process.argv[1]));
  server.listen(8080, "::", () => console.log("listening"));
`;

const client = `
  const socket = require("net").connect({ host: process.argv[1], port: Number(process.argv[2]), timeout: 10000 });
  socket.on("timeout", () => process.exit(1)).pipe(process.stdout);
`;

/** Answers a word on port 8080 of a namespace, on both families. */
export async function listen(netns: string, word: string): Promise<AsyncDisposable> {
  const child = spawn("nsenter", [`--net=/run/netns/${netns}`, process.execPath, "-e", server, word], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  await Promise.race([once(child.stdout, "data"), ended.then(() => assert.fail("the listener ended"))]);
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** What a connection made in a namespace reads. */
export async function ask(netns: string, host: string, port: number): Promise<string> {
  return output(netns, process.execPath, "-e", client, host, String(port));
}
