import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:http2";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { context, propagation } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { serveUnixSocket } from "../../src/adapters/unix-socket/index.js";
import { createClients } from "../../src/client/index.js";
import { createTestShim } from "../../src/testing/index.js";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";

describe("metrics and traces over a Unix socket", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "docker-cri-metrics-"));
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  });
  after(async () => {
    context.disable();
    propagation.disable();
    await rm(folder, { recursive: true, force: true });
  });

  it("show a client's gRPC calls, and belong to its trace", async () => {
    const exporter = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    await using lab = await createTestShim({ metrics: { address: "127.0.0.1:0" }, tracerProvider });
    const endpoint = `unix://${join(folder, "cri.sock")}`;
    await using _server = await serveUnixSocket(lab.shim, { endpoint });
    using clients = createClients({ endpoint });
    const headers = { traceparent: `00-${traceId}-${spanId}-01` };
    await clients.runtime.version({}, { headers });
    await assert.rejects(clients.runtime.podSandboxStatus({ podSandboxId: "none" }));
    await clients.runtime.runPodSandbox({ config: { metadata: { name: "p", namespace: "d", uid: "u" } } });
    const url = (await lab.shim.metrics?.listen()) ?? "";
    const text = await (await fetch(url)).text();
    const count = (method: string, code: string) =>
      `docker_cri_rpc_duration_seconds_count{service="RuntimeService",method="${method}",code="${code}"} 1\n`;
    assert.ok(text.includes(count("Version", "OK")));
    assert.ok(text.includes(count("PodSandboxStatus", "NotFound")));
    assert.ok(text.includes(count("RunPodSandbox", "OK")));
    assert.ok(text.includes("\ndocker_cri_sandboxes 1\n"));
    const spans = exporter.getFinishedSpans();
    const version = spans.find(({ name }) => name.endsWith("/Version"));
    assert.equal(version?.spanContext().traceId, traceId);
    assert.equal(version.parentSpanContext?.spanId, spanId);
    const run = spans.find(({ name }) => name.endsWith("/RunPodSandbox"));
    assert.notEqual(run?.spanContext().traceId, traceId);
  });

  it("count no method that the contract does not have", async () => {
    await using lab = await createTestShim({ metrics: { address: "127.0.0.1:0" } });
    const endpoint = `unix://${join(folder, "unknown.sock")}`;
    await using _server = await serveUnixSocket(lab.shim, { endpoint });
    const session = connect("http://localhost", {
      createConnection: () => createConnection(join(folder, "unknown.sock")),
    });
    for (let index = 0; index < 20; index++) {
      const stream = session.request({
        ":method": "POST",
        ":path": `/runtime.v1.RuntimeService/Unknown${index}`,
        "content-type": "application/grpc",
      });
      stream.end();
      await once(stream, "response");
      stream.close();
    }
    session.destroy();
    assert.doesNotMatch((await lab.shim.metrics?.text()) ?? "", /Unknown/);
  });
});
