import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  familiarRepository,
  isImageId,
  normalizeReference,
  parseReference,
  ShimError,
} from "../../../src/base/index.js";

const hex = "0123456789abcdef".repeat(4);
const digest = `sha256:${hex}`;

describe("image references", () => {
  for (const [text, full, familiar] of [
    ["busybox", "docker.io/library/busybox:latest", "busybox"],
    ["busybox:1.36", "docker.io/library/busybox:1.36", "busybox"],
    ["library/busybox", "docker.io/library/busybox:latest", "busybox"],
    ["docker.io/busybox", "docker.io/library/busybox:latest", "busybox"],
    ["index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox"],
    ["grafana/loki:3", "docker.io/grafana/loki:3", "grafana/loki"],
    ["registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10", "registry.k8s.io/pause"],
    ["localhost/x", "localhost/x:latest", "localhost/x"],
    ["localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b"],
    ["[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a"],
    ["Host/a", "Host/a:latest", "Host/a"],
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`, "busybox"],
    [`busybox:1.36@${digest}`, `docker.io/library/busybox@${digest}`, "busybox"],
    [`a.b/c@sha512:${hex}${hex}`, `a.b/c@sha512:${hex}${hex}`, "a.b/c"],
    ["docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b"],
    ["a__b/c-d.e--f", "docker.io/a__b/c-d.e--f:latest", "a__b/c-d.e--f"],
  ] as const) {
    it(`reads ${text}`, () => {
      assert.equal(normalizeReference(text), full);
      assert.equal(familiarRepository(parseReference(text)), familiar);
    });
  }

  it("gives tag and digest apart, and fills in neither", () => {
    assert.deepEqual(parseReference("busybox"), { registry: "docker.io", path: "library/busybox" });
    assert.deepEqual(parseReference(`a.b:80/c:d@${digest}`), {
      registry: "a.b:80",
      path: "c",
      tag: "d",
      digest,
    });
  });

  for (const [text, why] of [
    ["", /no repository/],
    [":tag", /no repository/],
    [`@${digest}`, /no repository/],
    ["Busybox", /lower-case/],
    ["a//b", /lower-case/],
    ["a/b/", /lower-case/],
    ["-a", /lower-case/],
    ["a b", /lower-case/],
    ["a___b", /lower-case/],
    ["https://a.b/c", /not a host name/],
    ["a_b.c/d", /not a host name/],
    ["a:b c", /tag/],
    ["a:", /tag/],
    [`a:${"t".repeat(129)}`, /tag/],
    ["a@sha256:12", /digest/],
    [`a@${digest.toUpperCase()}`, /digest/],
    [`a@${digest}@${digest}`, /digest/],
    ["a@", /digest/],
    ["a".repeat(256), /longer than 255/],
    [`a:${"b".repeat(2000)}`, /longer than 1024/],
    [hex, /image's id/],
    [digest, /image's id/],
  ] as const) {
    it(`refuses ${text.slice(0, 40)}`, () => {
      assert.throws(
        () => parseReference(text),
        (error: unknown) => {
          assert.ok(error instanceof ShimError && error.kind === "invalid-argument");
          assert.match(error.message, why);
          return true;
        },
      );
      assert.equal(normalizeReference(text), undefined);
    });
  }

  it("knows a full id from a short one and from a name", () => {
    assert.deepEqual([hex, digest, hex.slice(1), "busybox", `sha512:${hex}`].map(isImageId), [
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it("answers anything with a name, or with an explanation", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z._:/@-]{0,60}$/)), (text) => {
        const full = normalizeReference(text);
        if (full === undefined) assert.throws(() => parseReference(text), ShimError);
        else assert.equal(normalizeReference(full), full);
      }),
    );
  });
});
