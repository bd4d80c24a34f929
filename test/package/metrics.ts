import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createClients } from "../../src/client/index.js";
import { closed } from "../support/closed.js";
import { startServe } from "./support/serving.js";
import type { Stage } from "./support/stage.js";

/** The tests of the installed program's metrics. */
export function describeMetrics(staged: () => Stage): void {
  const serve = (flags: readonly string[]) => startServe(staged().program, flags);

  describe("docker-cri serve --metrics-address", () => {
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "docker-cri-metrics-"));
    });
    after(() => rm(folder, { recursive: true, force: true }));

    const endpoint = (name: string) => `unix://${join(folder, `${name}.sock`)}`;
    const flags = (name: string, address: string) => [
      ...["--engine", "memory", "--container-runtime-endpoint", endpoint(name)],
      ...["--metrics-address", address],
    ];

    it("is scraped for RPCs, calls to Docker, the event loop and the heap", async () => {
      await using serving = serve(flags("scraped", "127.0.0.1:0"));
      const { metrics } = await serving.said("serving CRI");
      assert.match(String(metrics), /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
      using clients = createClients({ endpoint: endpoint("scraped") });
      for (let call = 0; call < 3; call++) await clients.runtime.version({});
      await assert.rejects(clients.runtime.containerStats({ containerId: "none" }));
      await clients.images.pullImage({ image: { image: "busybox:1.36" } });
      const answer = await fetch(String(metrics));
      assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
      const text = await answer.text();
      const value = (name: string) =>
        Number(
          text
            .split("\n")
            .find((line) => line.startsWith(`${name} `))
            ?.slice(name.length + 1),
        );
      const rpc = (service: string, method: string, code: string) =>
        value(
          `docker_cri_rpc_duration_seconds_count{service="${service}",method="${method}",code="${code}"}`,
        );
      assert.equal(rpc("RuntimeService", "Version", "OK"), 3);
      assert.equal(rpc("RuntimeService", "ContainerStats", "NotFound"), 1);
      assert.equal(rpc("ImageService", "PullImage", "OK"), 1);
      assert.equal(value('docker_cri_docker_call_duration_seconds_count{call="images.pull",result="ok"}'), 1);
      assert.ok(value("nodejs_eventloop_lag_p99_seconds") > 0, text);
      assert.ok(value("nodejs_heap_size_used_bytes") > 1_000_000);
      assert.ok(value("process_open_fds") > 3);
    });

    it("ends with one line for an invalid address, or one that this node does not have", async () => {
      for (const [address, code, complaint] of [
        [
          "127.0.0.1",
          2,
          /^docker-cri: --metrics-address: "127\.0\.0\.1" is not an address with a port: .*\n$/,
        ],
        ["127.0.0.1:65536", 2, /^docker-cri: --metrics-address: "127\.0\.0\.1:65536" is not .*\n$/],
        ["192.0.2.1:9323", 1, /metrics: cannot listen on 192\.0\.2\.1:9323/],
      ] as const) {
        await using serving = serve(flags("bad", address));
        assert.equal(await serving.ended, code, serving.text());
        assert.match(serving.text(), complaint);
      }
    });

    it("ends with one line for an address in use, and leaves the other server alone", async () => {
      await using taken = createServer((socket) => socket.end("the other")).listen(0, "127.0.0.1");
      await once(taken, "listening");
      const { port } = taken.address() as AddressInfo;
      await using serving = serve(flags("used", `127.0.0.1:${port}`));
      assert.equal(await serving.ended, 1, serving.text());
      assert.match(
        serving.text(),
        new RegExp(`docker-cri: metrics: cannot listen on 127\\.0\\.0\\.1:${port}`),
      );
      const [answer] = (await once(connect(port, "127.0.0.1"), "data")) as [Buffer];
      assert.equal(answer.toString(), "the other");
    });

    it("serves CRI and other scrapers whatever slow ones do", async () => {
      await using serving = serve(flags("slow", "127.0.0.1:0"));
      const { metrics } = await serving.said("serving CRI");
      const { hostname, port } = new URL(String(metrics));
      // Half of them never end their request, the others ask again and again and read nothing.
      const slow = Array.from({ length: 30 }, (_, index) => {
        const socket = connect(Number(port), hostname).pause();
        const whenClosed = closed(socket);
        socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n");
        if (index % 2 === 0) socket.write("\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000));
        return { socket, whenClosed };
      });
      using clients = createClients({ endpoint: endpoint("slow") });
      for (let call = 0; call < 20; call++) await clients.runtime.version({}, { timeoutMs: 5_000 });
      assert.equal((await fetch(String(metrics), { signal: AbortSignal.timeout(5_000) })).status, 200);
      for (const { socket } of slow) socket.resume();
      await Promise.all(slow.map(({ whenClosed }) => whenClosed));
      const text = await (await fetch(String(metrics))).text();
      assert.ok(Number(/^process_open_fds (\d+)$/m.exec(text)?.[1]) < 60, "their connections are closed");
      serving.signal("SIGTERM");
      assert.equal(await serving.ended, 0, serving.text());
    });
  });
}
