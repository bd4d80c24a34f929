import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { NamespaceMode, NamespaceOptionSchema } from "../../../src/gen/runtime/v1/api_pb.js";
import { containerNamespaces, sandboxNamespaces } from "../../../src/translate/namespaces.js";
import { refuses, unknownEnum } from "./refuses.js";

type Init = MessageInitShape<typeof NamespaceOptionSchema>;
const { POD, CONTAINER, NODE, TARGET } = NamespaceMode;
const options = (init: Init | undefined) => init && create(NamespaceOptionSchema, init);

describe("a sandbox's namespaces", () => {
  for (const [name, init, networkMode, expected] of [
    ["none given", undefined, "none", { networkMode: "none", ipcMode: "shareable" }],
    ["all the pod's", { pid: CONTAINER }, "none", { networkMode: "none", ipcMode: "shareable" }],
    ["on Docker's network", { pid: POD }, "default", { networkMode: "default", ipcMode: "shareable" }],
    [
      "all the node's",
      { network: NODE, ipc: NODE, pid: NODE },
      "none",
      { networkMode: "host", ipcMode: "host", pidMode: "host" },
    ],
    [
      "no user namespace",
      { usernsOptions: { mode: NODE } },
      "none",
      { networkMode: "none", ipcMode: "shareable" },
    ],
  ] as const) {
    it(`are mapped: ${name}`, () => {
      assert.deepEqual(sandboxNamespaces(options(init), networkMode), expected);
    });
  }

  for (const [kind, message, init] of [
    ["invalid-argument", /\.network must be POD or NODE/, { network: CONTAINER }],
    ["invalid-argument", /\.ipc must be POD or NODE/, { ipc: TARGET }],
    ["invalid-argument", /\.pid is TARGET/, { pid: TARGET }],
    ["unsupported", /userns_options\.mode is POD.*hostUsers: true/, { usernsOptions: { mode: POD } }],
    ["invalid-argument", /userns_options\.mode must be/, { usernsOptions: { mode: CONTAINER } }],
    ["invalid-argument", /userns_options\.mode must be/, { usernsOptions: { mode: TARGET } }],
  ] as const) {
    it(`are refused: ${message.source}`, () => {
      refuses(kind, message, () => sandboxNamespaces(options(init), "none"));
    });
  }
});

describe("a container's namespaces", () => {
  const joined = { networkMode: "container:SB", ipcMode: "container:SB" };
  const pod = { sandboxId: "SB", hostNetwork: false, ofSandbox: undefined, pidTargetId: undefined };
  const onNode = {
    ...pod,
    hostNetwork: true,
    ofSandbox: options({ network: NODE, ipc: NODE, pid: NODE }),
  };
  for (const [name, init, within, expected] of [
    ["those of the pod", {}, pod, { ...joined, pidMode: "container:SB" }],
    ["a PID namespace of its own", { pid: CONTAINER }, pod, joined],
    ["the node's PIDs", { pid: NODE }, pod, { ...joined, pidMode: "host" }],
    [
      "none given: PIDs shared, as a sandbox without options",
      undefined,
      pod,
      { ...joined, pidMode: "container:SB" },
    ],
    ["none given: as the sandbox", undefined, { ...pod, ofSandbox: options({ pid: CONTAINER }) }, joined],
    [
      "the PIDs of another container",
      { pid: TARGET, targetId: "short" },
      { ...pod, pidTargetId: "FULL" },
      { ...joined, pidMode: "container:FULL" },
    ],
    [
      "the node's, through the sandbox",
      { network: NODE, ipc: NODE, pid: NODE },
      onNode,
      { ...joined, pidMode: "host", utsMode: "host" },
    ],
    ["the node's, none given", undefined, onNode, { ...joined, pidMode: "host", utsMode: "host" }],
  ] as const) {
    it(`are ${name}`, () => {
      assert.deepEqual(containerNamespaces(options(init), within), expected);
    });
  }

  for (const [kind, message, init] of [
    ["invalid-argument", /target_id names no container of the pod: "x"/, { pid: TARGET, targetId: "x" }],
    ["invalid-argument", /\.network is NODE/, { network: NODE }],
    ["invalid-argument", /\.ipc is NODE/, { ipc: NODE }],
    ["invalid-argument", /\.network must be/, { network: TARGET }],
    ["unsupported", /userns_options\.mode is POD/, { usernsOptions: { mode: POD } }],
    ["invalid-argument", /userns_options\.mode must be/, { usernsOptions: { mode: unknownEnum() } }],
  ] as const) {
    it(`are refused: ${message.source}`, () => {
      refuses(kind, message, () => containerNamespaces(options(init), pod));
    });
  }
});
