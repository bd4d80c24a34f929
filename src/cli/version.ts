import { readFileSync } from "node:fs";

interface Package {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** The package.json, which is part of the bundle: see scripts/bundle.ts. */
declare const DOCKER_CRI_PACKAGE: Package | undefined;

/** Without a bundle it is two folders up, in the source tree and in the installed package. */
function ownPackage(): Package {
  if (typeof DOCKER_CRI_PACKAGE !== "undefined") return DOCKER_CRI_PACKAGE;
  return JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as Package;
}

/** `0.1.0` */
export function version(): string {
  return ownPackage().version;
}

/** The versions for a bug report: docker-cri, Node and the libraries. */
export function buildInfo(): string {
  const { version: own, dependencies } = ownPackage();
  const lines = [
    `docker-cri ${own}`,
    `node ${process.versions.node} ${process.platform} ${process.arch}`,
    ...Object.entries(dependencies)
      .filter(([name]) => !name.startsWith("@types/"))
      .map(([name, wanted]) => `${name} ${wanted}`),
  ];
  return lines.join("\n");
}
