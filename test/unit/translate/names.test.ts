import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ContainerMetadataSchema, PodSandboxMetadataSchema } from "../../../src/gen/runtime/v1/api_pb.js";
import {
  containerName,
  parseContainerName,
  parseSandboxName,
  sandboxName,
  withRandomSuffix,
} from "../../../src/translate/index.js";
import { refuses } from "./refuses.js";

const pod = create(PodSandboxMetadataSchema, { name: "web-0", namespace: "shop", uid: "1f-2e", attempt: 3 });
const container = create(ContainerMetadataSchema, { name: "nginx", attempt: 7 });

describe("names", () => {
  it("builds cri-dockerd's names", () => {
    assert.equal(sandboxName(pod), "k8s_POD_web-0_shop_1f-2e_3");
    assert.equal(containerName(pod, container), "k8s_nginx_web-0_shop_1f-2e_7");
  });

  it("reads a sandbox's name, with and without a suffix", () => {
    for (const name of ["k8s_POD_web-0_shop_1f-2e_3", "k8s_POD_web-0_shop_1f-2e_3_0badf00d"]) {
      assert.deepEqual(parseSandboxName(name), pod, name);
    }
  });

  it("reads a container's name; the pod's attempt is not in it", () => {
    const expected = { container, pod: create(PodSandboxMetadataSchema, { ...pod, attempt: 0 }) };
    for (const name of ["k8s_nginx_web-0_shop_1f-2e_7", "k8s_nginx_web-0_shop_1f-2e_7_0badf00d"]) {
      assert.deepEqual(parseContainerName(name), expected, name);
    }
  });

  for (const name of [
    "",
    "nginx",
    "k8s_POD_web_shop_1",
    "k8s_POD_web_shop_1_0_a_b",
    "k9s_POD_web_shop_1_0",
    "k8s_POD_web_shop_1_-1",
    "k8s_POD_web_shop_1_1.5",
    "k8s_POD_web_shop_1_4294967296",
    "k8s_POD_web_shop_1_",
    "k8s_POD_web_shop_1_99999999999999999999",
  ]) {
    it(`recognizes ${JSON.stringify(name)} as foreign`, () => {
      assert.equal(parseSandboxName(name), undefined);
      assert.equal(parseContainerName(name), undefined);
    });
  }

  it("takes the largest attempt", () => {
    assert.equal(parseSandboxName("k8s_POD_web_shop_1_4294967295")?.attempt, 4_294_967_295);
  });

  it("adds a suffix of eight hex digits, another one each time", () => {
    const suffixed = withRandomSuffix(sandboxName(pod));
    assert.match(suffixed, /^k8s_POD_web-0_shop_1f-2e_3_[0-9a-f]{8}$/);
    assert.notEqual(suffixed, withRandomSuffix(sandboxName(pod)));
  });

  for (const field of ["name", "namespace", "uid"] as const) {
    it(`refuses a pod without ${field}`, () => {
      const bad = create(PodSandboxMetadataSchema, { ...pod, [field]: "" });
      refuses("invalid-argument", new RegExp(`metadata\\.${field} of the pod`), () => sandboxName(bad));
      refuses("invalid-argument", new RegExp(`metadata\\.${field} of the pod`), () =>
        containerName(bad, container),
      );
    });
  }

  it("refuses a container without a name", () => {
    refuses("invalid-argument", /config\.metadata\.name/, () =>
      containerName(pod, create(ContainerMetadataSchema, {})),
    );
  });

  it("gives names that Docker takes and that never meet, whatever the parts are", () => {
    const odd = fc.oneof(
      fc.string({ minLength: 1, maxLength: 8 }),
      fc.constantFrom("POD", "a_b", "a b", "A", "é", "a\0", "k8s_POD_web-0_shop_1f-2e_3", "x".repeat(300)),
      fc.stringMatching(/^[a-z_0-9]{1,4}$/),
    );
    const parts = fc.tuple(odd, odd, odd, odd, fc.nat({ max: 3 }));
    const made = ([first, name, namespace, uid, attempt]: [string, string, string, string, number]) => {
      const inside = create(PodSandboxMetadataSchema, { name, namespace, uid, attempt });
      return [
        sandboxName(inside),
        containerName(inside, create(ContainerMetadataSchema, { name: first, attempt })),
      ];
    };
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const names = [...made(one), ...made(other)];
        for (const name of names) assert.match(name, /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/);
        const same = (length: number) =>
          one.slice(-length).join("\u{1F40B}") === other.slice(-length).join("\u{1F40B}");
        const expected = 4 - (same(4) ? 1 : 0) - (same(5) ? 1 : 0);
        assert.equal(new Set(names).size, expected);
      }),
    );
  });

  it("keeps the readable part of an unusual name", () => {
    const odd = create(PodSandboxMetadataSchema, { ...pod, namespace: "Not_Kubernetes" });
    assert.match(sandboxName(odd), /^k8s_POD_[0-9a-f]{64}$/);
    assert.match(containerName(odd, container), /^k8s_nginx_[0-9a-f]{64}$/);
    assert.equal(parseSandboxName(sandboxName(odd)), undefined);
  });

  it("reads back whatever it has written", () => {
    const word = fc.stringMatching(/^[a-zA-Z0-9.-]{1,20}$/);
    const attempt = fc.nat({ max: 0xffff_ffff });
    fc.assert(
      fc.property(word, word, word, word, attempt, (name, namespace, uid, containerPart, number) => {
        fc.pre(containerPart !== "POD");
        const made = create(PodSandboxMetadataSchema, { name, namespace, uid, attempt: number });
        assert.deepEqual(parseSandboxName(sandboxName(made)), made);
        const inside = create(ContainerMetadataSchema, { name: containerPart, attempt: number });
        assert.deepEqual(parseContainerName(containerName(made, inside))?.container, inside);
      }),
    );
  });
});
