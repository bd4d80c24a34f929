import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeLogin, readAuth } from "../../../src/images/auth.js";
import { registryHost, serverCovers } from "../../../src/images/registry-host.js";
import { auth } from "./lab.js";

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("credentials of a request", () => {
  it("are absent when no field is set", () => {
    assert.deepEqual(readAuth(undefined, "docker.io"), { kind: "none" });
    assert.deepEqual(readAuth(auth({}), "docker.io"), { kind: "none" });
    assert.deepEqual(readAuth(auth({ serverAddress: "r.example" }), "docker.io"), { kind: "none" });
  });

  for (const [what, fields, expected] of [
    ["name and password", { username: "u", password: "p" }, { username: "u", password: "p" }],
    ["auth", { auth: base64("u:p:q") }, { username: "u", password: "p:q" }],
    ["auth with NULs", { auth: base64("u:p\0\0") }, { username: "u", password: "p" }],
    [
      "a name before auth",
      { username: "u", password: "p", auth: base64("x:y") },
      { username: "u", password: "p" },
    ],
    ["an identity token", { identityToken: "t" }, { identityToken: "t" }],
    ["a registry token", { registryToken: "t" }, { registryToken: "t" }],
  ] as const) {
    it(`are Docker's for ${what}`, () => {
      assert.deepEqual(readAuth(auth(fields), "r.example"), { kind: "given", auth: expected });
    });
  }

  for (const [server, registry] of [
    ["https://r.example/v2/", "r.example"],
    ["R.example", "r.example"],
    ["http://127.0.0.1:5000", "127.0.0.1:5000"],
    ["https://index.docker.io/v1/", "docker.io"],
    ["registry-1.docker.io", "docker.io"],
  ] as const) {
    it(`for ${server} are sent to ${registry}`, () => {
      assert.deepEqual(readAuth(auth({ username: "u", password: "p", serverAddress: server }), registry), {
        kind: "given",
        auth: { username: "u", password: "p", serverAddress: server },
      });
    });
  }

  it("for another registry are not shown to this one", () => {
    for (const server of ["evil.example", "r.example:5000", "r.example.evil"]) {
      const given = auth({ username: "u", password: "p", serverAddress: server });
      assert.deepEqual(readAuth(given, "r.example"), { kind: "foreign", server });
    }
  });

  it("are refused without being quoted when auth holds no login", () => {
    for (const bad of ["hunter2", base64("no colon"), base64(":p"), "!!", base64("") + " x"]) {
      assert.throws(
        () => readAuth(auth({ auth: bad }), "r.example"),
        (error: Error) => {
          assert.match(error.message, /auth\.auth is not base64 of user:password/);
          return !error.message.includes("hunter2");
        },
      );
    }
    assert.deepEqual(decodeLogin(base64("ü:ß")), { username: "ü", password: "ß" });
  });
});

describe("a server of Docker's configuration", () => {
  const image = (registry: string, path: string) => ({ registry, path });

  for (const [server, registry, path, covers] of [
    ["r.example", "r.example", "a/b", true],
    ["https://r.example/v2/", "r.example", "a/b", true],
    ["r.example/a", "r.example", "a/b", true],
    ["r.example/a/b", "r.example", "a/b", true],
    ["r.example/v2/a", "r.example", "a/b", true],
    ["r.example/ab", "r.example", "abc", false],
    ["r.example/a/b/c", "r.example", "a/b", false],
    ["*.example", "r.example", "a", true],
    ["*.example", "a.r.example", "a", false],
    ["re*ry-*.example", "registry-1.example", "a", true],
    ["re*ry-*9.example", "registry-1.example", "a", false],
    ["a*a.example", "a.example", "x", false],
    ["r.example:5000", "r.example", "a", false],
    ["r.example", "r.example:5000", "a", false],
    ["*.example:5000", "r.example:5000", "a", true],
    ["https://index.docker.io/v1/", "docker.io", "library/busybox", true],
    ["docker.io", "docker.io", "library/busybox", true],
    ["", "r.example", "a", false],
  ] as const) {
    it(`"${server}" ${covers ? "covers" : "does not cover"} ${registry}/${path}`, () => {
      assert.equal(serverCovers(server, image(registry, path)), covers);
    });
  }

  it("is one host however it is written", () => {
    for (const server of ["HTTPS://R.Example:443/x", "r.example:443", " r.example:443 "])
      assert.equal(registryHost(server), "r.example:443");
  });
});
