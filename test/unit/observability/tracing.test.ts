import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { context, propagation, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import { createClients } from "../../../src/client/index.js";
import { createTestShim, type TestShimOptions } from "../../../src/testing/index.js";
import { startContainer } from "./pod.js";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const kubeletSpan = "b7ad6b7169203331";
const traceparent = `00-${traceId}-${kubeletSpan}-01`;

/** An embedder's SDK, as little of it as there is. */
function openSdk() {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  return { exporter, tracerProvider };
}

async function open(options: TestShimOptions = {}) {
  const { exporter, tracerProvider } = openSdk();
  const lab = await createTestShim({ tracerProvider, images: ["busybox:1.36"], ...options });
  const clients = createClients(lab.shim.inProcessTransport());
  return Object.assign(lab, { exporter, ...clients });
}

/** The names of a span and of all above it, the innermost first. */
function chain(spans: readonly ReadableSpan[], name: string): string[] {
  const span = spans.find((each) => each.name === name);
  if (!span) return [];
  const parent = spans.find((each) => each.spanContext().spanId === span.parentSpanContext?.spanId);
  return [name, ...(parent ? chain(spans, parent.name) : [])];
}

describe("traces", () => {
  before(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  });
  after(() => {
    context.disable();
    propagation.disable();
  });

  it("go from the kubelet's span to the RPC, the modules and the call to Docker", async () => {
    await using lab = await open();
    const config = { metadata: { name: "p", namespace: "d", uid: "u" } };
    await lab.runtime.runPodSandbox({ config }, { headers: { traceparent } });
    const spans = lab.exporter.getFinishedSpans();
    assert.ok(spans.length > 3);
    assert.ok(spans.every((span) => span.spanContext().traceId === traceId));
    assert.deepEqual(chain(spans, "docker containers.create"), [
      "docker containers.create",
      "SandboxCreator.run",
      "Sandboxes.run",
      "runtime.v1.RuntimeService/RunPodSandbox",
    ]);
    const rpc = spans.find(({ name }) => name === "runtime.v1.RuntimeService/RunPodSandbox");
    assert.equal(rpc?.parentSpanContext?.spanId, kubeletSpan);
    assert.equal(rpc.kind, SpanKind.SERVER);
    assert.deepEqual(rpc.attributes, {
      "rpc.system": "grpc",
      "rpc.service": "runtime.v1.RuntimeService",
      "rpc.method": "RunPodSandbox",
      "rpc.grpc.status_code": 0,
    });
    assert.equal(spans.find(({ name }) => name === "docker containers.create")?.kind, SpanKind.CLIENT);
  });

  it("restart without a context, or with an invalid one", async () => {
    await using lab = await open();
    for (const header of [undefined, "", "00-zz", `00-${"a".repeat(5_000)}-01`]) {
      lab.exporter.reset();
      await lab.runtime.version({}, header === undefined ? {} : { headers: { traceparent: header } });
      const [span] = lab.exporter.getFinishedSpans().slice(-1);
      assert.equal(span?.name, "runtime.v1.RuntimeService/Version");
      assert.equal(span.parentSpanContext, undefined);
    }
  });

  it("show which call failed, and how, without texts of Docker", async () => {
    await using lab = await open();
    lab.engine.faults.on("containers.create", { error: "conflict", message: "secret" });
    const config = { metadata: { name: "p", namespace: "d", uid: "u" } };
    await assert.rejects(lab.runtime.runPodSandbox({ config }));
    const spans = lab.exporter.getFinishedSpans();
    const statusOf = (name: string) => spans.find((span) => span.name === name)?.status;
    const failed = (message: string) => ({ code: SpanStatusCode.ERROR, message });
    assert.deepEqual(statusOf("docker containers.create"), failed("conflict"));
    assert.deepEqual(statusOf("runtime.v1.RuntimeService/RunPodSandbox"), failed("Aborted"));
    assert.doesNotMatch(
      JSON.stringify(spans.map(({ attributes, status, events }) => [attributes, status, events])),
      /secret/,
    );
  });

  it("have no spans of work beside the calls, nor of a log long after its container's start", async () => {
    await using lab = await open();
    lab.exporter.reset();
    lab.engine.faults.events.breakStream();
    await pause(300);
    assert.deepEqual(lab.exporter.getFinishedSpans(), []);
    await startContainer(lab.shim, { command: ["sh", "-c", "sleep 0.5; echo late; sleep 0.1"] });
    await pause(200);
    lab.exporter.reset();
    await pause(800);
    assert.deepEqual(
      lab.exporter.getFinishedSpans().map(({ name }) => name),
      [],
    );
  });

  it("go together with metrics", async () => {
    await using lab = await open({ metrics: { address: "127.0.0.1:0" } });
    await lab.runtime.version({}, { headers: { traceparent } });
    const [span] = lab.exporter.getFinishedSpans().slice(-1);
    assert.equal(span?.parentSpanContext?.spanId, kubeletSpan);
    assert.match(
      (await lab.shim.metrics?.text()) ?? "",
      /_count\{service="RuntimeService",method="Version",code="OK"\} 1/,
    );
  });

  it("cost nothing without a provider: nothing is wrapped", async () => {
    await using lab = await createTestShim();
    assert.equal(lab.shim.observer, undefined);
  });
});
