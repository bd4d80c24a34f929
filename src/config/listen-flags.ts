import { ShimError } from "../base/index.js";
import { formatBindAddress, isLoopback, parseBindAddress } from "./bind-address.js";
import { oneOf, type FlagContext, type ServeFlag } from "./flag.js";

const group = "Sockets and logs:";

/** Flags of the endpoints, the log files and the log level. */
export const listenFlags: readonly ServeFlag[] = [
  {
    group,
    names: "--container-runtime-endpoint",
    value: "<url>",
    default: "unix:///run/docker-cri.sock",
    description: "CRI endpoint: unix:///path, fd:// (a socket passed by systemd) or tcp://host:port",
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
    description: "additional endpoint that serves only the ImageService; the CRI endpoint serves it too",
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
    description: "file mode of the Unix socket",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.listen ??= {}).socketMode = value;
    },
  },
  {
    group,
    names: "--socket-group",
    value: "<group>",
    default: "the process's group",
    description: "group of the Unix socket, by name or GID",
    criDockerd: false,
    apply: (value, { draft }) => {
      (draft.listen ??= {}).socketGroup = value;
    },
  },
  {
    group,
    names: "--metrics-address",
    value: "<address>",
    default: "none",
    description: "serve docker-cri's own metrics over HTTP at /metrics: address:port, or a port on 127.0.0.1",
    criDockerd: false,
    apply: applyMetricsAddress,
  },
  {
    group,
    names: "--log-mode",
    value: "<mode>",
    default: "cri",
    description:
      "cri: write container logs in CRI's format; docker-json: link to Docker's JSON log files, as cri-dockerd does",
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
    description: "panic, fatal, error, warn, info, debug, trace or silent",
    criDockerd: true,
    apply: (value, { draft }) => {
      draft.logLevel = logLevelOf(value);
    },
  },
];

function applyMetricsAddress(value: string, { draft, note }: FlagContext): void {
  const [, port] = /^:?(\d{1,5})$/.exec(value) ?? [];
  const address = parseBindAddress(port === undefined ? value : `127.0.0.1:${port}`);
  if (address === undefined)
    throw new ShimError(
      "invalid-argument",
      `"${value}" is not an address with a port: use 9323, 127.0.0.1:9323 or [::1]:9323`,
    );
  if (!isLoopback(address.host))
    note(`anyone who can reach ${address.host} can read the metrics: they need no authentication`);
  (draft.metrics ??= {}).address = formatBindAddress(address);
}

/** Logrus' names, which cri-dockerd accepts, and pino's. */
function logLevelOf(value: string) {
  const name = value.toLowerCase();
  if (name === "panic") return "fatal";
  if (name === "warning") return "warn";
  return oneOf(name, ["fatal", "error", "warn", "info", "debug", "trace", "silent"]);
}
