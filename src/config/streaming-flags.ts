import { isIP } from "node:net";
import { ShimError } from "../base/index.js";
import {
  formatBindAddress,
  isLoopback,
  isWildcard,
  parseBindAddress,
  type BindAddress,
} from "./bind-address.js";
import { parseGoDuration } from "./duration.js";
import { booleanOf, type FlagContext, type ServeFlag } from "./flag.js";

const group = "Exec, attach and port-forward:";

/** Flags of the streaming server, for exec, attach and port-forward. */
export const streamingFlags: readonly ServeFlag[] = [
  {
    group,
    names: "--streaming-bind-addr",
    value: "<address>",
    default: "127.0.0.1:0",
    description:
      "address of the streaming server (exec, attach, port-forward): an IP address, or address:port; port 0 picks a free one",
    criDockerd: true,
    apply: applyAddress,
  },
  {
    group,
    names: "--streaming-tls-cert-file",
    value: "<file>",
    default: "none",
    description: "serve streaming over TLS with this PEM certificate; reloaded when the file changes",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.streaming ??= {}).tls = { ...draft.streaming.tls, certFile: value };
    },
  },
  {
    group,
    names: "--streaming-tls-key-file",
    value: "<file>",
    default: "the certificate file",
    description: "PEM file with the certificate's private key",
    criDockerd: false,
    apply: (value, { draft }) => {
      const certFile = draft.streaming?.tls?.certFile;
      if (certFile === undefined)
        throw new ShimError("invalid-argument", "needs --streaming-tls-cert-file as well");
      (draft.streaming ??= {}).tls = { certFile, keyFile: value };
    },
  },
  {
    group,
    names: "--streaming-creation-timeout",
    value: "<duration>",
    default: "30s",
    description: "drop a streaming client that has not opened its streams within this time",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.streaming ??= {}).creationTimeoutMs = parseGoDuration(value);
    },
  },
  {
    group,
    names: "--streaming-idle-timeout",
    value: "<duration>",
    default: "4h0m0s",
    description: "close a streaming session after this long without traffic",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.streaming ??= {}).idleTimeoutMs = parseGoDuration(value);
    },
  },
  {
    group,
    names: "--keep-abandoned-execs",
    value: "[true|false]",
    default: "false",
    description:
      "keep an exec's process running when its client disconnects; otherwise it is killed with its children",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.streaming ??= {}).keepAbandonedExecs = booleanOf(value);
    },
  },
];

function applyAddress(value: string, { draft, note }: FlagContext): void {
  // cri-dockerd takes an empty address for all interfaces. The kubelet on this node needs only loopback.
  if (value === "") return;
  const address = addressOf(value);
  if (address === undefined)
    throw new ShimError(
      "invalid-argument",
      `"${value}" is not an address: write 127.0.0.1, 127.0.0.1:10350 or [::1]:0`,
    );
  if (isWildcard(address.host))
    throw new ShimError(
      "invalid-argument",
      `"${value}" means every interface, but exec, attach and port-forward have no authentication of their own: ` +
        "name one address; 127.0.0.1 suits a kubelet on this node",
    );
  if (!isLoopback(address.host))
    note(
      `anyone who can reach ${address.host} with a streaming URL can enter the container: 127.0.0.1 is safer`,
    );
  (draft.streaming ??= {}).address = formatBindAddress(address);
}

function addressOf(value: string): BindAddress | undefined {
  if (isIP(value) !== 0) return { host: value, port: 0 };
  if (value.startsWith(":")) return parseBindAddress(`0.0.0.0${value}`);
  return parseBindAddress(value);
}
