import type { IncomingMessage } from "node:http";
import { stringify } from "node:querystring";
import { parseEndpoint, ShimError, type CallOptions, type Endpoint, type Logger } from "../../base/index.js";
import {
  agree,
  formatApiVersion,
  parseApiVersion,
  VersionNegotiator,
  type ApiVersion,
} from "./api-version.js";
import { chunksOf, parseJson, readAll, readErrorText } from "./body.js";
import { EngineCalls, type EngineCall } from "./call.js";
import { decodeVersion } from "./decode/system.js";
import { fromStatus, fromThrown, isBrokenConnection, isChangeOfEngine, type Asked } from "./errors.js";
import { Malformed } from "./failures.js";
import { Hijacker, type Hijacked } from "./hijack.js";
import { PulledAnswer } from "./log-reader/pulled-answer.js";
import { EngineAgent, openModem, type Dial } from "./modem.js";

/** A running dockerd answers a ping at once. */
const pingMs = 10_000;

/** One request to the engine. */
export interface EngineRequest {
  readonly method: "GET" | "POST" | "DELETE";
  /** Without the API version; from `pathOf` or `imagePath`. */
  readonly path: string;
  /** Undefined values are omitted. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses besides 2xx that are a success. */
  readonly accept?: readonly number[];
}

type Named = Pick<EngineRequest, "method" | "path">;

/** What all calls to an engine share: connections, API version, deadlines, errors and closing. */
export class EngineConnection {
  readonly #where: Endpoint;
  readonly #agent: EngineAgent;
  readonly #dial: Dial;
  readonly #hijacker: Hijacker;
  readonly #calls = new EngineCalls();
  readonly #negotiator = new VersionNegotiator(() => this.#negotiate());

  constructor(
    private readonly endpoint: string,
    readonly requestTimeoutMs: number,
    private readonly log: Logger,
  ) {
    const where = (this.#where = parseEndpoint(endpoint));
    this.#agent = new EngineAgent(() => {
      this.#negotiator.forget();
    });
    this.#dial = openModem(where, this.#agent);
    this.#hijacker = new Hijacker(where);
  }

  /** Opens a call, which the caller must end. @param defaultMs Its deadline when the options have none. */
  open(operation: string, options?: CallOptions, defaultMs: number = this.requestTimeoutMs): EngineCall {
    return this.#calls.open(operation, options, defaultMs);
  }

  /** Runs `work` as one call. Everything it awaits must settle soon after the call's signal aborts. */
  async call<T>(
    operation: string,
    options: CallOptions | undefined,
    work: (call: EngineCall) => Promise<T>,
    defaultMs?: number,
  ): Promise<T> {
    const call = this.open(operation, options, defaultMs);
    try {
      call.check();
      return await work(call);
    } finally {
      call.end();
    }
  }

  /** Sends a request and decodes the JSON of the answer. @throws ShimError "internal" for an invalid answer. */
  async json<T>(call: EngineCall, request: EngineRequest, decode: (json: unknown) => T): Promise<T> {
    return await this.#attempt(call, request, async () => {
      const answer = await readAll(call, await this.#send(call, request));
      return decode(parseJson(answer.toString("utf8")));
    });
  }

  /** Sends a request and discards the answer's body. */
  async done(call: EngineCall, request: EngineRequest): Promise<void> {
    await this.#attempt(call, request, async () => {
      await readAll(call, await this.#send(call, request));
    });
  }

  /** Sends a request and resolves with the head of the answer. The call's default deadline ends there. */
  async head(call: EngineCall, request: EngineRequest): Promise<IncomingMessage> {
    return await this.#attempt(call, request, async () => {
      call.asked();
      const response = await this.#send(call, request);
      call.answered();
      return response;
    });
  }

  /** As {@link head}, for a GET whose answer is read only on demand; the caller must destroy it. */
  async pull(
    call: EngineCall,
    { path, query = {} }: Pick<EngineRequest, "path" | "query">,
  ): Promise<PulledAnswer> {
    const request = { method: "GET", path } as const;
    return await this.#attempt(call, request, async () => {
      call.asked();
      call.check();
      const version = formatApiVersion(await this.version(call));
      const answer = await PulledAnswer.get(this.#where, `/v${version}${path}?${stringify(query)}`, call);
      if (answer.status === 200) {
        call.answered();
        return answer;
      }
      try {
        const text = await call.guard(readErrorText(answer));
        throw fromStatus(this.#asked(call, request), answer.status, text);
      } finally {
        answer.destroy();
      }
    });
  }

  /**
   * Sends a request and yields the results of `parse` as the answer arrives. Leaving the loop closes the connection.
   * @param idleMs As for `chunksOf`.
   */
  async *stream<T>(
    call: EngineCall,
    request: EngineRequest,
    parse: (chunks: AsyncIterable<Buffer>) => AsyncIterable<T>,
    idleMs?: number,
  ): AsyncGenerator<T> {
    const response = await this.head(call, request);
    try {
      yield* parse(chunksOf(call, response, idleMs));
    } catch (error) {
      throw this.failure(call, request, error);
    }
  }

  /** Sends an upgrade request and takes the connection over. The call limits the wait, not the connection. */
  async hijack(
    call: EngineCall,
    request: Named & { readonly query?: Readonly<Record<string, string>>; readonly body?: object },
  ): Promise<Hijacked> {
    return await this.#attempt(call, request, async () => {
      const path = `/v${formatApiVersion(await this.version(call))}${request.path}`;
      return await this.#hijacker.open(call, this.#asked(call, request), { ...request, path });
    });
  }

  /** Pings the engine. @returns The newest API version that it supports. */
  async ping(call: EngineCall): Promise<ApiVersion> {
    const request = { method: "GET", path: "/_ping" } as const;
    return await this.#attempt(call, request, async () => {
      const response = await this.#exchange(call, request);
      await readAll(call, response);
      const header = response.headers["api-version"];
      const version = parseApiVersion(typeof header === "string" ? header : undefined);
      if (version === undefined) throw new Malformed("it names no API version");
      return version;
    });
  }

  /** The API version in use, negotiated with each new connection. */
  async version(call: EngineCall): Promise<ApiVersion> {
    try {
      return await call.guard(this.#negotiator.version());
    } catch (error) {
      if (call.signal.aborted || !(error instanceof ShimError)) throw error;
      // The deadline of the ping is not the caller's: for the caller, Docker is unavailable.
      const kind = error.kind === "deadline-exceeded" ? "unavailable" : error.kind;
      const { operation } = call;
      throw new ShimError(kind, `${operation}: ${error.message}`, { operation, cause: error });
    }
  }

  /** Converts an error of a call to a ShimError. */
  failure(call: EngineCall, request: Named, thrown: unknown): ShimError {
    if (call.signal.aborted) return call.reason;
    const error = fromThrown(this.#asked(call, request), thrown);
    if (isChangeOfEngine(error)) this.#negotiator.forget();
    return error;
  }

  close(): void {
    this.#calls.close();
    this.#hijacker.close();
    this.#agent.destroy();
  }

  /**
   * Sends a request with the negotiated version. A kept connection may be dead, as after a restart of Docker: a GET is
   * then sent once more.
   */
  async #send(call: EngineCall, request: EngineRequest): Promise<IncomingMessage> {
    const kept = this.#agent.keepsConnections;
    try {
      return await this.#sendOnce(call, request);
    } catch (error) {
      if (!kept || request.method !== "GET" || call.signal.aborted || !isBrokenConnection(error)) throw error;
      this.#negotiator.forget();
      return await this.#sendOnce(call, request);
    }
  }

  async #sendOnce(call: EngineCall, request: EngineRequest): Promise<IncomingMessage> {
    const path = `/v${formatApiVersion(await this.version(call))}${request.path}`;
    return await this.#exchange(call, { ...request, path });
  }

  /** Resolves with the head of a successful answer. */
  async #exchange(call: EngineCall, request: EngineRequest): Promise<IncomingMessage> {
    const { method, path, body, headers = {}, accept = [] } = request;
    const query = Object.fromEntries(
      Object.entries(request.query ?? {}).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    );
    call.check();
    const response = await call.guard(
      this.#dial({ method, path, query, body, headers, signal: call.signal }),
    );
    const status = response.statusCode ?? 0;
    if ((status >= 200 && status < 300) || accept.includes(status)) return response;
    throw fromStatus(this.#asked(call, request), status, await readErrorText(chunksOf(call, response)));
  }

  async #attempt<T>(call: EngineCall, request: Named, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.failure(call, request, error);
    }
  }

  async #negotiate(): Promise<ApiVersion> {
    const limit = Math.min(pingMs, this.requestTimeoutMs);
    return await this.call("system.apiVersion", undefined, async (call) => this.#agree(call), limit);
  }

  async #agree(call: EngineCall): Promise<ApiVersion> {
    const request = { method: "GET", path: "/version" } as const;
    const newest = await this.ping(call);
    const version = await this.#attempt(call, request, async () =>
      agree(newest, async () => {
        const answer = await readAll(call, await this.#exchange(call, request));
        return parseApiVersion(decodeVersion(parseJson(answer.toString("utf8"))).minApiVersion);
      }),
    );
    const apiVersion = formatApiVersion(version);
    this.log.debug({ endpoint: this.endpoint, apiVersion }, "reached Docker");
    return version;
  }

  #asked(call: EngineCall, { method, path }: Named): Asked {
    return { operation: call.operation, request: `${method} ${path}`, endpoint: this.endpoint };
  }
}
