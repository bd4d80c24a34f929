import { ShimError } from "../../base/index.js";

/**
 * All released versions of the specification, in order.
 * @see CNI SPEC, "Released versions"
 */
const released = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

export type CniVersion = (typeof released)[number];

/** The newest version that this runner supports. */
export const newestVersion: CniVersion = "1.1.0";

/** The first version whose plugins can be chained and whose results can hold several addresses. */
const oldestForPods: CniVersion = "0.3.0";

export function isKnownVersion(version: unknown): version is CniVersion {
  return released.includes(version as CniVersion);
}

export function atLeast(version: CniVersion, other: CniVersion): boolean {
  return released.indexOf(version) >= released.indexOf(other);
}

export interface PluginVersions {
  readonly type: string;
  readonly versions: readonly string[];
}

/**
 * The newest version that the configuration declares, this runner and every plugin support.
 * @throws ShimError "failed-precondition" that names the plugins in the way.
 * @see CNI SPEC, "Version considerations"
 */
export function chooseVersion(declared: readonly string[], plugins: readonly PluginVersions[]): CniVersion {
  if (declared.length === 0) {
    throw unusable(
      `it has no cniVersion, which means 0.1.0: set one from ${oldestForPods} to ${newestVersion}`,
    );
  }
  const spoken = newestFirst(declared).filter((version) => atLeast(version, oldestForPods));
  if (spoken.length === 0) {
    throw unusable(
      `its cniVersion is ${declared.join(", ")}: this runner speaks ${oldestForPods} to ${newestVersion}`,
    );
  }
  const chosen = spoken.find((version) => plugins.every(({ versions }) => versions.includes(version)));
  if (chosen !== undefined) return chosen;
  const unwilling = plugins
    .filter(({ versions }) => !spoken.some((version) => versions.includes(version)))
    .map(({ type, versions }) => `${type} (${versions.join(", ") || "none"})`);
  const who = unwilling.length > 0 ? unwilling.join(", ") : "its plugins among themselves";
  throw unusable(
    `it asks for cniVersion ${spoken.join(" or ")}, which is not what these plugins speak: ${who}: ` +
      "set a version that all speak, or update the plugins",
  );
}

/** The version of a configuration that was in use before: plugins are not asked, because they have run with it. */
export function versionInUse(declared: readonly string[], resultVersion: unknown): CniVersion {
  const [newest = "0.1.0"] = newestFirst(declared);
  return isKnownVersion(resultVersion) && declared.includes(resultVersion) ? resultVersion : newest;
}

export function newestFirst(versions: readonly string[]): CniVersion[] {
  return versions.filter(isKnownVersion).sort((a, b) => released.indexOf(b) - released.indexOf(a));
}

function unusable(message: string): ShimError {
  return new ShimError("failed-precondition", message, { operation: "network.configuration" });
}
