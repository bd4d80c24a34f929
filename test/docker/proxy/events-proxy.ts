import {
  createServer,
  request as ask,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { rm } from "node:fs/promises";

/**
 * A Docker endpoint in front of another that can lose or delay what comes on event streams; all else passes as it
 * is. Connections that are taken over, as for exec and attach, do not pass.
 */
export class EventsProxy implements AsyncDisposable {
  /** True: events are lost from now on, also those of a replay, and the streams stay open. */
  losing = false;
  /** How much later events arrive, in milliseconds; their order stays. */
  delayMs = 0;
  /** Pieces of event streams that were lost, and that came late. */
  lost = 0;
  late = 0;
  private readonly server: Server;
  private readonly timers = new Set<NodeJS.Timeout>();

  private constructor(
    readonly socketPath: string,
    private readonly upstreamPath: string,
  ) {
    this.server = createServer((request, response) => {
      this.pass(request, response);
    });
  }

  /** Opens a proxy. @param upstreamPath Docker's own socket; it need not be there all the time. */
  static async open(socketPath: string, upstreamPath: string): Promise<EventsProxy> {
    const proxy = new EventsProxy(socketPath, upstreamPath);
    await new Promise<void>((resolve, reject) => {
      proxy.server.once("error", reject).listen(socketPath, resolve);
    });
    return proxy;
  }

  /** As Docker's clients name it. */
  get endpoint(): string {
    return `unix://${this.socketPath}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer);
    await new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
      this.server.closeAllConnections();
    });
    await rm(this.socketPath, { force: true });
  }

  private pass(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = "", headers } = request;
    const upstream = ask({ socketPath: this.upstreamPath, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      if (/^(\/v[\d.]+)?\/events(\?|$)/.test(url)) this.passEvents(answer, response);
      else answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    upstream.on("error", () => response.destroy());
    response.on("close", () => upstream.destroy());
    response.on("error", () => upstream.destroy());
    request.pipe(upstream);
  }

  private passEvents(events: IncomingMessage, response: ServerResponse): void {
    events.on("data", (piece: Buffer) => {
      if (this.losing) this.lost++;
      else if (this.delayMs === 0) response.write(piece);
      else {
        this.late++;
        const timer = setTimeout(() => {
          this.timers.delete(timer);
          if (!response.destroyed) response.write(piece);
        }, this.delayMs);
        this.timers.add(timer);
      }
    });
    events.on("end", () => response.end());
  }
}
