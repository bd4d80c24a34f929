import { isIP } from "node:net";
import { ShimError } from "../base/index.js";
import { formatBindAddress, isWildcard, parseBindAddress, type BindAddress } from "./bind-address.js";
import { oneOf, type FlagContext, type ServeFlag } from "./flag.js";

const group = "Sockets and logs:";

/** Where the server listens, and what it writes. */
export const listenFlags: readonly ServeFlag[] = [
  {
    group,
    names: "--container-runtime-endpoint",
    value: "<url>",
    default: "unix:///run/docker-cri.sock",
    description: "where kubelet connects: unix:///path, fd:// (a socket from systemd) or tcp://host:port",
    criDockerd: true,
    apply: (value, { draft }) => {
      (draft.listen ??= {}).endpoint = value;
    },
  },
  {
    group,
    names: "--image-endpoint",
    value: "<url>",
    default: "none",
    description: "a second endpoint, for image calls alone; the first one answers them anyway",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.listen ??= {}).imageEndpoint = value;
    },
  },
  {
    group,
    names: "--socket-mode",
    value: "<octal>",
    default: "0660",
    description: "rights of the Unix socket",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.listen ??= {}).socketMode = value;
    },
  },
  {
    group,
    names: "--socket-group",
    value: "<group>",
    default: "the process's own",
    description: "group of the Unix socket, by name or number",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.listen ??= {}).socketGroup = value;
    },
  },
  {
    group,
    names: "--streaming-bind-addr",
    value: "<address>",
    default: "127.0.0.1:0",
    description:
      "where exec, attach and port-forward listen: an address, or address:port; port 0 takes a free one",
    criDockerd: true,
    apply: applyStreamingAddress,
  },
  {
    group,
    names: "--log-mode",
    value: "<mode>",
    default: "cri",
    description:
      "cri: log files in CRI's format; docker-json: links to Docker's own files, as cri-dockerd makes",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.logs ??= {}).mode = oneOf(value, ["cri", "docker-json"]);
    },
  },
  {
    group,
    names: "--log-level",
    value: "<level>",
    default: "info",
    description: "panic, fatal, error, warn, info, debug or trace",
    criDockerd: true,
    apply: (value, { draft }) => {
      draft.logLevel = logLevelOf(value);
    },
  },
];

function applyStreamingAddress(value: string, { draft, note }: FlagContext): void {
  // cri-dockerd takes an empty address for every interface; what it is for, the kubelet on this node, needs one.
  if (value === "") return;
  const address = streamingAddressOf(value);
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
  if (!/^(127\.|::1$|localhost$)/.test(address.host))
    note(
      `whoever reaches ${address.host} and holds a streaming URL gets into the container: 127.0.0.1 is safer`,
    );
  (draft.streaming ??= {}).address = formatBindAddress(address);
}

function streamingAddressOf(value: string): BindAddress | undefined {
  if (isIP(value) !== 0) return { host: value, port: 0 };
  if (value.startsWith(":")) return parseBindAddress(`0.0.0.0${value}`);
  return parseBindAddress(value);
}

/** Logrus' names, as cri-dockerd takes them, and pino's. */
function logLevelOf(value: string) {
  const name = value.toLowerCase();
  if (name === "panic") return "fatal";
  if (name === "warning") return "warn";
  return oneOf(name, ["fatal", "error", "warn", "info", "debug", "trace", "silent"]);
}
