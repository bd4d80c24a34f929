import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type DescField, type DescMessage } from "@bufbuild/protobuf";
import {
  ContainerConfigSchema,
  file_runtime_v1_api,
  PullImageRequestSchema,
  RunPodSandboxRequestSchema,
  UpdateContainerResourcesRequestSchema,
} from "../../../src/gen/runtime/v1/api_pb.js";
import { fieldTable, refuseUnsupported } from "../../../src/translate/index.js";
import { refuses, unknownEnum } from "./refuses.js";

function childOf(field: DescField): DescMessage | undefined {
  if (field.fieldKind === "message") return field.message;
  if (field.fieldKind === "list" && field.listKind === "message") return field.message;
  if (field.fieldKind === "map" && field.mapKind === "message") return field.message;
  return undefined;
}

/** Every field that a request to either service can hold. */
function requestFields(): string[] {
  const seen = new Map<string, DescMessage>();
  const visit = (message: DescMessage) => {
    if (seen.has(message.name)) return;
    seen.set(message.name, message);
    for (const child of message.fields.map(childOf)) if (child) visit(child);
  };
  for (const service of file_runtime_v1_api.services) {
    for (const method of service.methods) visit(method.input);
  }
  return [...seen.values()].flatMap(({ name, fields }) => fields.map((field) => `${name}.${field.name}`));
}

describe("the table of fields", () => {
  const expected = requestFields();
  const decided = Object.entries(fieldTable).flatMap(([message, fields]) =>
    Object.keys(fields).map((field) => `${message}.${field}`),
  );

  it("decides on each field that a request can hold", () => {
    assert.ok(expected.length > 200, `the walk found only ${expected.length} fields`);
    assert.deepEqual(
      expected.filter((name) => !decided.includes(name)),
      [],
      "these have no entry in the field table",
    );
  });

  it("decides on nothing that CRI does not have", () => {
    assert.deepEqual(
      decided.filter((name) => !expected.includes(name)),
      [],
    );
  });

  it("has the target of each field, or the reason why it has no target", () => {
    for (const [message, fields] of Object.entries(fieldTable)) {
      for (const [field, treatment] of Object.entries(fields)) {
        const words = treatment.how === "mapped" ? treatment.to : treatment.why;
        assert.ok(words.length > 3, `${message}.${field}`);
      }
    }
  });
});

describe("refuseUnsupported", () => {
  it("lets a request pass that asks for nothing refused", () => {
    refuseUnsupported(
      create(RunPodSandboxRequestSchema, {
        config: { metadata: { name: "a" }, linux: { securityContext: { runAsUser: { value: 1n } } } },
      }),
    );
    refuseUnsupported(create(ContainerConfigSchema, { mounts: [{ hostPath: "/a", readonly: true }] }));
  });

  it("names the field that it refuses", () => {
    refuses(
      "unsupported",
      /^config\.linux\.security_context\.capabilities\.add_ambient_capabilities are not supported/,
      () => {
        const capabilities = { addAmbientCapabilities: ["NET_RAW"] };
        refuseUnsupported(
          create(ContainerConfigSchema, { linux: { securityContext: { capabilities } } }),
          "config",
        );
      },
    );
    refuses("unsupported", /^config\.mounts\[1\]\.mount_options /, () => {
      refuseUnsupported(
        create(ContainerConfigSchema, { mounts: [{}, { mountOptions: ["noexec"] }] }),
        "config",
      );
    });
    refuses("unsupported", /^windows is for Windows/, () => {
      refuseUnsupported(create(UpdateContainerResourcesRequestSchema, { windows: {} }));
    });
  });

  it("does not check ignored messages", () => {
    refuseUnsupported(create(PullImageRequestSchema, { sandboxConfig: { windows: {} } }));
    refuseUnsupported(
      create(RunPodSandboxRequestSchema, {
        config: { linux: { overhead: { unified: { a: "b" } }, resources: {} } },
      }),
    );
  });

  it("refuses an enum value that CRI v1 does not know", () => {
    refuses("invalid-argument", /^stop_signal has the value 99/, () => {
      refuseUnsupported(create(ContainerConfigSchema, { stopSignal: unknownEnum() }));
    });
  });

  it("refuses anything but a message of CRI", () => {
    refuses("internal", /google\.protobuf\.Any/, () => {
      refuseUnsupported({ $typeName: "google.protobuf.Any" });
    });
  });
});
