import { trimTrailing } from "../base/index.js";

const hub = "docker.io";
const hubHosts = new Set([hub, "index.docker.io", "registry-1.docker.io", "www.docker.io"]);

/** The host and port of a registry name or URL, in lower case; `docker.io` for all names of Docker Hub. */
export function registryHost(server: string): string {
  return parseServer(server).host;
}

/** Parses a server of Docker's configuration: a URL or a host name, with an optional path. */
export function parseServer(server: string): { readonly host: string; readonly path: string } {
  const bare = server.trim().replace(/^[a-z]+:\/\//i, "");
  const slash = bare.indexOf("/");
  const named = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase();
  const path = slash < 0 ? "" : trimTrailing(bare.slice(slash + 1), "/");
  const host = hubHosts.has(named) ? hub : named;
  // The root of the registry API is not part of a repository path.
  return { host, path: /^v[12]$/.test(path) ? "" : path.replace(/^v[12]\//, "") };
}

/**
 * Whether a server of Docker's configuration matches a repository, by kubelet's rules: host labels match one by one, `*`
 * matches any part of a label, the ports are equal, and the path is a prefix of the repository.
 */
export function serverCovers(
  server: string,
  { registry, path }: { readonly registry: string; readonly path: string },
): boolean {
  const key = parseServer(server);
  if (key.path !== "" && key.path !== path && !path.startsWith(`${key.path}/`)) return false;
  const [keyName, keyPort] = splitPort(key.host);
  const [name, port] = splitPort(registryHost(registry));
  if (keyPort !== port) return false;
  const keyLabels = keyName.split(".");
  const labels = name.split(".");
  return (
    keyLabels.length === labels.length &&
    keyLabels.every((pattern, index) => labelMatches(pattern, labels[index] ?? ""))
  );
}

function splitPort(host: string): [name: string, port: string] {
  const match = /^(.*):(\d+)$/.exec(host);
  return match ? [match[1] ?? "", match[2] ?? ""] : [host, ""];
}

function labelMatches(pattern: string, label: string): boolean {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return pattern === label;
  if (!label.startsWith(head)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = label.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return label.length - tail.length >= at && label.endsWith(tail);
}
