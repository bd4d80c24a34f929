import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createNetServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { pino } from "pino";
import { isKind, type ErrorKind } from "../../../../src/base/index.js";
import type { DockerService } from "../../../../src/docker/index.js";
import { createDockerodeService } from "../../../../src/drivers/dockerode/index.js";

/** 64 hex digits, as Docker's ids are. */
export const someId = "0123456789abcdef".repeat(4);

/** A server that answers as the test says, and the driver connected to it. */
export interface FakeEngine {
  readonly service: DockerService;
  readonly endpoint: string;
  /** `METHOD /path` of what was asked, pings among it. */
  readonly asked: string[];
  /** Connections that the driver holds open. */
  openConnections(): number;
  /** Stops listening and breaks every connection; `listen` begins again at the same place. */
  stop(): Promise<void>;
  listen(): Promise<void>;
}

export interface FakeOptions {
  readonly requestTimeoutMs?: number;
  /** What /_ping says; null says nothing. */
  readonly apiVersion?: string | null;
  /** False: a raw engine is asked by pings too. */
  readonly pings?: boolean;
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;
export type Upgrade = (request: IncomingMessage, socket: Socket) => void;

/** An engine that speaks HTTP. Pings are answered for the test. */
export async function fakeEngine(
  t: TestContext,
  answer: Answer,
  options: FakeOptions & { readonly upgrade?: Upgrade } = {},
): Promise<FakeEngine> {
  const version = options.apiVersion === undefined ? "1.41" : options.apiVersion;
  const server = createHttpServer((request, response) => {
    asked.push(`${request.method ?? ""} ${request.url ?? ""}`);
    if (request.url !== "/_ping") {
      answer(request, response);
      return;
    }
    if (version !== null) response.setHeader("Api-Version", version);
    response.end("OK");
  });
  const asked: string[] = [];
  if (options.upgrade !== undefined) {
    const { upgrade } = options;
    server.on("upgrade", (request: IncomingMessage, socket: Socket) => {
      asked.push(`${request.method ?? ""} ${request.url ?? ""}`);
      socket.on("error", () => undefined);
      upgrade(request, socket);
    });
  }
  return await connectTo(t, server, asked, options);
}

/** An engine that writes whatever bytes the test says, once it has read a request's head. */
export async function rawEngine(
  t: TestContext,
  onRequest: (socket: Socket, head: string) => void,
  options: FakeOptions = {},
): Promise<FakeEngine> {
  const asked: string[] = [];
  const server = createNetServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      const head = data.toString("latin1");
      if (!/^(GET|POST|DELETE) /.test(head)) return;
      asked.push(head.split(" HTTP/", 1)[0] ?? "");
      if (options.pings !== false && head.startsWith("GET /_ping"))
        socket.write("HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK");
      else onRequest(socket, head);
    });
  });
  return await connectTo(t, server, asked, options);
}

async function connectTo(
  t: TestContext,
  server: Server,
  asked: string[],
  options: FakeOptions,
): Promise<FakeEngine> {
  const folder = await mkdtemp(join(tmpdir(), "dockerode-"));
  const path = join(folder, "d.sock");
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  const stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of open) socket.destroy();
    await closed;
  };
  const listen = async () => {
    await new Promise<void>((resolve) => server.listen(path, resolve));
  };
  await listen();
  const service = createDockerodeService({
    endpoint: `unix://${path}`,
    requestTimeoutMs: options.requestTimeoutMs ?? 5000,
    log: pino({ level: "silent" }),
  });
  t.after(async () => {
    await service.close();
    await stop();
    await rm(folder, { recursive: true, force: true });
  });
  return { service, endpoint: `unix://${path}`, asked, openConnections: () => open.size, stop, listen };
}

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

/** For assert.rejects: the kind, and words that the message must have. */
export function failsWith(kind: ErrorKind, ...words: readonly (string | RegExp)[]): (error: unknown) => true {
  return (error) => {
    if (!isKind(error, kind)) throw new Error(`not ${kind}`, { cause: error });
    for (const word of words)
      if (typeof word === "string" ? !error.message.includes(word) : !word.test(error.message))
        throw new Error(`the message lacks ${String(word)}: ${error.message}`);
    return true;
  };
}

/** Waits until `check` holds. @throws Error after ten seconds. */
export async function eventually(check: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    if (check()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`never: ${what}`);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A stream that was cut into pieces of `size` bytes. */
export async function* chunked(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

/** A frame of Docker's multiplexed stream. */
export function frame(type: number, data: string | Buffer): Buffer {
  const payload = Buffer.from(data);
  const header = Buffer.alloc(8);
  header[0] = type;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}
