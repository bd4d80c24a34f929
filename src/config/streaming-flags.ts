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
      "where exec, attach and port-forward listen: an address, or address:port; port 0 takes a free one",
    criDockerd: true,
    apply: applyAddress,
  },
  {
    group,
    names: "--streaming-tls-cert-file",
    value: "<file>",
    default: "none",
    description: "serve them with TLS: PEM with the certificate, read again when it changes",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.streaming ??= {}).tls = { ...draft.streaming.tls, certFile: value };
    },
  },
  {
    group,
    names: "--streaming-tls-key-file",
    value: "<file>",
    default: "the certificate's",
    description: "PEM with the certificate's key",
    criDockerd: false,
    apply: (value, { draft }) => {
      const certFile = draft.streaming?.tls?.certFile;
      if (certFile === undefined)
        throw new ShimError("invalid-argument", "it needs --streaming-tls-cert-file beside it");
      (draft.streaming ??= {}).tls = { certFile, keyFile: value };
    },
  },
  {
    group,
    names: "--streaming-creation-timeout",
    value: "<duration>",
    default: "30s",
    description: "a client that has not opened its streams by then is given up",
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
    description: "a session in which nothing is sent for so long is ended",
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
      "let an exec's process run on when its client vanishes; otherwise it is killed with its children",
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
      `"${value}" stands for every interface, and exec, attach and port-forward have no login of their own: ` +
        "name one address; 127.0.0.1 is right for a kubelet on this node",
    );
  if (!isLoopback(address.host))
    note(
      `a program that reaches ${address.host} with a streaming URL gets into the container: 127.0.0.1 is safer`,
    );
  (draft.streaming ??= {}).address = formatBindAddress(address);
}

function addressOf(value: string): BindAddress | undefined {
  if (isIP(value) !== 0) return { host: value, port: 0 };
  if (value.startsWith(":")) return parseBindAddress(`0.0.0.0${value}`);
  return parseBindAddress(value);
}
