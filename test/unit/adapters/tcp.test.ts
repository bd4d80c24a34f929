import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { serveTcp } from "../../../src/adapters/tcp/index.js";
import { isKind } from "../../../src/base/index.js";
import { Authority } from "../../wire/support/certificates.js";
import type { RpcTarget } from "../../../src/rpc/serving.js";

const target: RpcTarget = {
  log: pino({ level: "silent" }),
  handlerFor: () => ({ handle: () => ({}) }),
};

describe("serveTcp", () => {
  it("takes a free port and reports it", async () => {
    await using server = await serveTcp(target, { port: 0 });
    assert.equal(server.host, "127.0.0.1");
    assert.ok(server.port > 0);
    assert.equal(server.address, `tcp://127.0.0.1:${server.port}`);
  });

  it("takes every name of the loopback interface", async () => {
    for (const host of ["localhost", "127.0.0.1", "127.9.9.9"]) {
      await using server = await serveTcp(target, { host, port: 0 });
      assert.match(server.address, /^tcp:\/\/(127\.|\[::1\])/);
    }
  });

  it("refuses to let other machines in without client certificates, unless it is configured to", async () => {
    const tls = new Authority("ours").issue("server");
    for (const options of [{ host: "0.0.0.0" }, { host: "::" }, { host: "0.0.0.0", tls }]) {
      await assert.rejects(serveTcp(target, { port: 0, ...options }), (error) => {
        assert.ok(isKind(error, "invalid-argument"), String(error));
        assert.match(error.message, /client certificates.*allowInsecureRemote/);
        return true;
      });
    }
    await using server = await serveTcp(target, { host: "0.0.0.0", port: 0, allowInsecureRemote: true });
    assert.equal(server.host, "0.0.0.0");
  });

  it("refuses a port in use, an unknown host and invalid ports", async () => {
    await using server = await serveTcp(target, { port: 0 });
    for (const port of [-1, 65_536, 1.5]) {
      await assert.rejects(serveTcp(target, { port }), (error) => isKind(error, "invalid-argument"));
    }
    await assert.rejects(serveTcp(target, { port: server.port }), (error) => isKind(error, "already-exists"));
    await assert.rejects(serveTcp(target, { host: "no-such-host.invalid", port: 0 }), (error) =>
      isKind(error, "invalid-argument"),
    );
  });

  it("refuses certificates with which it would let no one in, or strangers", async () => {
    const authority = new Authority("ours");
    const own = authority.issue("server");
    const empty = Buffer.alloc(0);
    for (const [tls, problem] of [
      [{ ...own, cert: "no" }, /^tls: there is no PEM certificate in cert/],
      [{ ...own, cert: own.cert.replace("MI", "__") }, /^tls: cert cannot be read: /],
      [{ ...own, key: empty }, /^tls: key cannot be read: /],
      [{ ...own, key: authority.issue("client").key }, /^tls: the key does not match the certificate/],
      [{ ...own, ca: empty }, /^tls: there is no PEM certificate in ca/],
      [{ ...own, ca: "" }, /^tls: there is no PEM certificate in ca/],
      [{ ...own, ca: own.key }, /^tls: there is no PEM certificate in ca/],
      [{ ...own, ca: authority.cert + own.cert.replace("MI", "__") }, /^tls: ca cannot be read: /],
    ] as const) {
      await assert.rejects(serveTcp(target, { port: 0, tls }), (error) => {
        assert.ok(isKind(error, "invalid-argument"), String(error));
        assert.match(error.message, problem);
        return true;
      });
    }
  });
});
