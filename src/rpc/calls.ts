import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { Call } from "./call.js";
import { Endpoint } from "./endpoint.js";
import { callerGone, serverClosing } from "./errors.js";
import { HeldBytes } from "./held-bytes.js";
import { allServices, methodsOf } from "./services.js";
import { messageLimits, type MessageLimits, type RpcOptions, type RpcTarget } from "./target.js";

/** A step of a call that depends on the transport: reading the request, or encoding a message of the answer. */
type Receive = () => Message | Promise<Message>;
type Seal<T> = (message: Message) => T;

/**
 * Runs the calls of one server: creates handlers, maps errors, logs, and ends open calls when
 * the server closes. Transports read the requests and write the answers.
 */
export class Calls {
  readonly endpoints: readonly Endpoint[];
  readonly limits: MessageLimits;
  readonly held = new HeldBytes();
  private readonly open = new Set<Call>();
  private lastId = 0;
  private closing = false;

  constructor(
    private readonly target: RpcTarget,
    options: RpcOptions = {},
  ) {
    this.limits = messageLimits(options);
    this.endpoints = methodsOf(options.services ?? allServices).map((method) => new Endpoint(method, target));
  }

  /**
   * Registers a new call. It must be passed to {@link unary}, {@link stream} or {@link Call.fail}.
   * @param header Reads a header of the request by its name in lower case.
   */
  begin(endpoint: Endpoint, header: (name: string) => string | undefined): Call {
    const { log, observer } = this.target;
    const observed = observer?.begin(endpoint.method, header);
    const onEnd = (ended: Call) => this.open.delete(ended);
    const call = new Call(endpoint, ++this.lastId, log, this.held.open(), onEnd, observed);
    this.open.add(call);
    return call;
  }

  /**
   * Runs a unary call to its end.
   * @throws ConnectError for the caller; it is logged.
   */
  async unary<T>(call: Call, receive: Receive, seal: Seal<T>): Promise<T> {
    try {
      const request = await this.requestOf(call, receive);
      const answer = call.run(() => call.endpoint.unaryHandler().handle(request, call));
      const init = isPromise(answer) ? await call.settle(answer) : answer;
      const sealed = seal(normalized(call, init));
      call.succeed();
      return sealed;
    } catch (error) {
      throw call.fail(error).error;
    }
  }

  /**
   * Runs a server-streaming call while its messages are taken. Leaving the loop early cancels it.
   * @throws ConnectError for the caller; it is logged.
   */
  async *stream<T>(call: Call, receive: Receive, seal: Seal<T>): AsyncGenerator<T, void, undefined> {
    let messages: AsyncIterator<MessageInitShape<DescMessage>> | undefined;
    // Not awaited: a handler that hangs would delay the answer.
    const leaveHandler = () => {
      void leave(messages);
    };
    try {
      const request = await this.requestOf(call, receive);
      const iterator = call.run(() =>
        call.endpoint.streamHandler().handle(request, call)[Symbol.asyncIterator](),
      );
      messages = iterator;
      for (;;) {
        call.throwIfAborted();
        const next = await call.settle(call.run(() => iterator.next()));
        call.throwIfAborted();
        if (next.done) break;
        const sealed = seal(normalized(call, next.value));
        call.sent++;
        call.whenAborted((reason) => {
          // The reader of the last message may never request another one.
          call.fail(reason);
          leaveHandler();
        });
        yield sealed;
      }
      call.succeed();
    } catch (error) {
      throw call.fail(error).error;
    } finally {
      if (!call.hasEnded) {
        const reason = callerGone(call.endpoint.rpc);
        call.abort(reason);
        call.fail(call.abortReason ?? reason);
      }
      leaveHandler();
    }
  }

  /**
   * Ends streams, and calls whose request has not arrived, with UNAVAILABLE, and refuses new calls; running unary
   * calls continue.
   */
  close(): void {
    this.closing = true;
    this.abort((call) => call.endpoint.streams || !call.request);
  }

  get isClosing(): boolean {
    return this.closing;
  }

  /** Ends every call with UNAVAILABLE. */
  abortAll(): void {
    this.abort(() => true);
  }

  private abort(which: (call: Call) => boolean): void {
    for (const call of this.open) if (which(call)) call.abort(serverClosing(call.endpoint.rpc));
  }

  private async requestOf(call: Call, receive: Receive): Promise<Message> {
    if (this.closing) throw serverClosing(call.endpoint.rpc);
    const received = receive();
    const request = isPromise(received) ? await call.settle(received) : received;
    call.request = request;
    call.throwIfAborted();
    const wait = this.target.beforeCall?.(call.endpoint.method, call);
    if (wait) await call.settle(wait);
    return request;
  }
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | undefined)?.then === "function";
}

async function leave(messages: AsyncIterator<unknown> | undefined): Promise<void> {
  try {
    await messages?.return?.();
  } catch {
    // The call has been answered: a later error of the handler has no receiver.
  }
}

function normalized(call: Call, init: MessageInitShape<DescMessage>): Message {
  return create(call.endpoint.method.output, init);
}
