import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What a proxy does to the answers of one path. */
export interface Mischief {
  /** The path as a client asks for it. */
  readonly path: RegExp;
  /** Answers this in place of the registry. */
  readonly status?: number;
  readonly body?: string;
  readonly type?: string;
  /** Gives so many bytes of the body, and then nothing more while the connection stays open. */
  readonly stallAfterBytes?: number;
  /** Gives the body in pieces of so many bytes, one each `everyMs`. */
  readonly trickleBytes?: number;
  readonly everyMs?: number;
  /** Gives so many bytes of the body, and then cuts every connection and answers no more. */
  readonly dieAfterBytes?: number;
  /** Changes the body's last byte. */
  readonly spoil?: boolean;
}

/** A registry's bad day: passes everything on to a registry, but for the mischief that a test asks for. */
export class RegistryProxy implements AsyncDisposable {
  /** What was asked, `METHOD path`. */
  readonly asked: string[] = [];
  /** The paths whose answers were not waited for. */
  readonly givenUp: string[] = [];
  mischief: readonly Mischief[] = [];
  private readonly server: Server;

  private constructor(private readonly target: URL) {
    this.server = createServer((incoming, outgoing) => {
      this.pass(incoming, outgoing).catch(() => {
        outgoing.destroy();
      });
    });
  }

  /** @param target The registry's URL. */
  static async start(target: string): Promise<RegistryProxy> {
    const proxy = new RegistryProxy(new URL(target));
    await proxy.listen(0);
    return proxy;
  }

  /** Host and port. */
  address = "";

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(port, "127.0.0.1", resolve));
    this.address = `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.die();
  }

  private async die(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "GET", url = "/", headers } = incoming;
    this.asked.push(`${method} ${url}`);
    const mischief = this.mischief.find(({ path }) => path.test(url)) ?? { path: /^/ };
    outgoing.on("close", () => {
      if (!outgoing.writableFinished) this.givenUp.push(url);
    });
    if (mischief.status !== undefined) {
      const { status, type = "application/json", body = "{}" } = mischief;
      outgoing.writeHead(status, { "content-type": type }).end(body);
      return;
    }
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const { hostname, port } = this.target;
      request({ hostname, port, method, path: url, headers }, resolve).on("error", reject).end();
    });
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    await this.give(Buffer.concat(chunks), outgoing, mischief);
  }

  private async give(body: Buffer, outgoing: ServerResponse, mischief: Mischief): Promise<void> {
    const { stallAfterBytes, dieAfterBytes, trickleBytes, everyMs = 0, spoil = false } = mischief;
    const last = body.length - 1;
    if (spoil && last >= 0) body.writeUInt8(body.readUInt8(last) ^ 0xff, last);
    const cut = stallAfterBytes ?? dieAfterBytes;
    if (cut !== undefined && cut < body.length) {
      await new Promise((resolve) => outgoing.write(body.subarray(0, cut), resolve));
      if (dieAfterBytes !== undefined) await this.die();
      return;
    }
    const step = trickleBytes ?? body.length;
    for (let at = 0; at < body.length; at += step) {
      if (trickleBytes !== undefined) await sleep(everyMs);
      if (outgoing.destroyed) return;
      outgoing.write(body.subarray(at, at + step));
    }
    outgoing.end();
  }
}
