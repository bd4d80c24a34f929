import { readFileSync } from "node:fs";

interface Package {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** The package's own description, which lies two folders up, in the source tree as in the installed package. */
function ownPackage(): Package {
  return JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as Package;
}

/** `0.1.0` */
export function version(): string {
  return ownPackage().version;
}

/** What a report of a bug should hold: docker-cri's version, Node's, and those of what it is built upon. */
export function buildInfo(): string {
  const { version: own, dependencies } = ownPackage();
  const lines = [
    `docker-cri ${own}`,
    `node ${process.versions.node} ${process.platform} ${process.arch}`,
    ...Object.entries(dependencies).map(([name, wanted]) => `${name} ${wanted}`),
  ];
  return lines.join("\n");
}
