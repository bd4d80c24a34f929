import assert from "node:assert/strict";
import { once } from "node:events";
import https from "node:https";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { serveTcp, type TcpServer } from "../../src/adapters/tcp/index.js";
import { createClients } from "../../src/client/index.js";
import { Authority } from "./support/certificates.js";
import { failure } from "./support/failure.js";
import { testTarget } from "./support/target.js";
import { closed } from "../support/closed.js";

const authority = new Authority("our authority");
const serverCertificate = authority.issue("server");
const clientCertificate = authority.issue("client");
const stranger = new Authority("some other authority").issue("client");

const serverTls = { ...serverCertificate, ca: authority.cert };
const target = testTarget({ Version: () => ({ version: "secret" }) });

function clientsOf(server: TcpServer, certificate?: { cert: string; key: string }) {
  return createClients({
    endpoint: server.address,
    tls: { ca: authority.cert, serverName: "localhost", ...certificate },
  });
}

function post(server: TcpServer, certificate?: { cert: string; key: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        ...certificate,
        ca: authority.cert,
        port: server.port,
        method: "POST",
        path: "/runtime.v1.RuntimeService/Version",
        headers: { "content-type": "application/json" },
        agent: false,
      },
      (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("end", () => {
          resolve(body);
        });
      },
    );
    request.on("error", reject);
    request.end("{}");
  });
}

describe("TCP with TLS", () => {
  it("serves gRPC over HTTP/2 and JSON over HTTP/1.1 to clients with a certificate, on one port", async () => {
    await using server = await serveTcp(target, { port: 0, tls: serverTls });
    using clients = clientsOf(server, clientCertificate);
    assert.equal((await clients.runtime.version({})).version, "secret");
    assert.equal(await post(server, clientCertificate), '{"version":"secret"}');
  });

  it("lets no one in without a certificate of its authority", async () => {
    await using server = await serveTcp(target, { port: 0, tls: serverTls });
    using none = clientsOf(server);
    using wrong = clientsOf(server, stranger);
    using plain = createClients({ endpoint: server.address });
    for (const clients of [none, wrong, plain]) {
      const error = await failure(clients.runtime.version({}, { timeoutMs: 5_000 }));
      assert.equal(error.code, Code.Unavailable, error.message);
    }
    await assert.rejects(post(server));
    await assert.rejects(post(server, stranger));
  });

  it("serves without client certificates on the loopback interface", async () => {
    await using server = await serveTcp(target, { port: 0, tls: serverCertificate });
    using clients = clientsOf(server);
    assert.equal((await clients.runtime.version({})).version, "secret");
  });

  it("serves every interface to clients with certificates", async () => {
    await using server = await serveTcp(target, { host: "0.0.0.0", port: 0, tls: serverTls });
    using clients = createClients({
      endpoint: `tcp://127.0.0.1:${server.port}`,
      tls: { ca: authority.cert, ...clientCertificate },
    });
    assert.equal((await clients.runtime.version({})).version, "secret");
  });

  it("closes with connections in every stage of their handshake", async () => {
    const server = await serveTcp(target, { port: 0, tls: serverTls });
    const clients = clientsOf(server, clientCertificate);
    await clients.runtime.version({});
    const sockets: Socket[] = [];
    for (const opening of [undefined, "\x16\x03\x01", "nonsense\r\n\r\n"]) {
      const socket = connect(server.port, server.host);
      socket.on("error", () => undefined);
      await once(socket, "connect");
      if (opening !== undefined) socket.write(Buffer.from(opening, "latin1"));
      sockets.push(socket);
    }
    const allClosed = sockets.filter((socket) => !socket.destroyed).map(closed);
    const began = performance.now();
    await server.close();
    await Promise.all(allClosed);
    assert.ok(performance.now() - began < 2_000);
    clients.close();
  });
});
