import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Span,
  type TextMapGetter,
  type Tracer,
  type TracerProvider,
} from "@opentelemetry/api";
import { isKind } from "../base/index.js";
import type { DockerService } from "../docker/index.js";
import type { CallObserver } from "../rpc/serving.js";
import { watchDocker } from "./docker-calls.js";
import { resultOf, runWatched, watchMethods, type Watch } from "./watch-methods.js";

type Headers = (name: string) => string | undefined;

const readHeader: TextMapGetter<Headers> = {
  get: (header, name) => header(name.toLowerCase()),
  // A propagator reads the headers that it knows by their names.
  keys: () => [],
};
/** The code of a call that its caller has ended is no error of the shim's. */
const harmless = new Set(["OK", "Canceled", "NotFound"]);

/**
 * Spans of the calls: RPC, module, call to Docker. The parent of an RPC's span comes from the caller's metadata, read by
 * the propagator that the embedder has registered; a context manager of theirs carries the span to what the call does.
 */
export class Tracing {
  private readonly tracer: Tracer;

  constructor(provider: TracerProvider) {
    this.tracer = provider.getTracer("docker-cri");
  }

  /** Makes a span of each RPC. */
  readonly observer: CallObserver = {
    begin: (method, header) => {
      const service = method.parent.typeName;
      const attributes = { "rpc.system": "grpc", "rpc.service": service, "rpc.method": method.name };
      const parent = propagation.extract(ROOT_CONTEXT, header, readHeader);
      const options = { kind: SpanKind.SERVER, attributes };
      const span = this.tracer.startSpan(`${service}/${method.name}`, options, parent);
      const own = trace.setSpan(parent, span);
      return {
        run: (work) => context.with(own, work),
        end: (code, number) => {
          span.setAttribute("rpc.grpc.status_code", number);
          if (!harmless.has(code)) span.setStatus({ code: SpanStatusCode.ERROR, message: code });
          span.end();
        },
      };
    },
  };

  /** A module with a span for each call of another module or handler. */
  module<T extends object>(module: T, name: string): T {
    return watchMethods(module, name, this.child(SpanKind.INTERNAL));
  }

  /** Docker with a span for each call that is part of an RPC. */
  docker(docker: DockerService): DockerService {
    const watch = this.child(SpanKind.CLIENT);
    // A log is followed long after the call that started its container.
    return watchDocker(docker, (name, work) =>
      name === "containers.logs" ? work() : watch(`docker ${name}`, work),
    );
  }

  /** Work beside the calls, such as the inventory's, has no parent and makes no spans. */
  private child(kind: SpanKind): Watch {
    return (name, work) => {
      if (!trace.getActiveSpan()?.isRecording()) return work();
      const span = this.tracer.startSpan(name, { kind });
      const own = trace.setSpan(context.active(), span);
      return context.with(own, () =>
        runWatched(work, (error) => {
          endSpan(span, error);
        }),
      );
    };
  }
}

function endSpan(span: Span, error: unknown): void {
  if (error !== undefined && !isKind(error, "not-found", "cancelled"))
    span.setStatus({ code: SpanStatusCode.ERROR, message: resultOf(error) });
  span.end();
}
