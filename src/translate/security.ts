import {
  SecurityProfile_ProfileType as ProfileType,
  type Capability,
  type Int64Value,
  type SecurityProfile,
  type SELinuxOption,
} from "../gen/runtime/v1/api_pb.js";
import {
  absolutePath,
  invalid,
  quote,
  unknownValue,
  unsupported,
  userOrGroupId,
  withoutNul,
} from "./checks.js";
import type { EngineEnvironment } from "./environment.js";

/** Who a process shall be. */
export interface Identity {
  readonly runAsUser?: Int64Value | undefined;
  readonly runAsGroup?: Int64Value | undefined;
  /** Empty, or absent: not said. */
  readonly runAsUsername?: string;
}

/**
 * Docker's `user[:group]`; undefined for the image's own user.
 * @param field The path of the security context, for errors.
 * @throws ShimError "invalid-argument"
 */
export function userAndGroup(identity: Identity, field: string): string | undefined {
  const { runAsUser, runAsGroup, runAsUsername = "" } = identity;
  if (runAsUser && runAsUsername !== "") {
    throw invalid(`${field}.run_as_username`, "excludes run_as_user: say one of them");
  }
  if (/[:\0\n]/.test(runAsUsername)) {
    throw invalid(`${field}.run_as_username`, `is not the name of a user: ${quote(runAsUsername)}`);
  }
  const user = runAsUser ? userOrGroupId(runAsUser.value, `${field}.run_as_user`) : runAsUsername;
  if (!runAsGroup) return user === "" ? undefined : user;
  if (user === "") throw invalid(`${field}.run_as_group`, "needs run_as_user or run_as_username beside it");
  return `${user}:${userOrGroupId(runAsGroup.value, `${field}.run_as_group`)}`;
}

/** Docker's form of supplemental groups. @throws ShimError "invalid-argument" */
export function groups(gids: readonly bigint[], field: string): string[] {
  return gids.map((gid) => userOrGroupId(gid, `${field}.supplemental_groups`));
}

/**
 * The names of capabilities as Docker writes them: `ALL`, or without `CAP_`, each once.
 * @throws ShimError "invalid-argument" for what cannot be a name.
 */
export function capabilities(capability: Capability | undefined): { capAdd?: string[]; capDrop?: string[] } {
  const add = names(capability?.addCapabilities ?? [], "add_capabilities");
  const drop = names(capability?.dropCapabilities ?? [], "drop_capabilities");
  return { ...(add.length > 0 ? { capAdd: add } : {}), ...(drop.length > 0 ? { capDrop: drop } : {}) };
}

function names(given: readonly string[], field: string): string[] {
  const normal = given.map((name) => {
    const bare = name.toUpperCase().replace(/^CAP_/, "");
    if (!/^[A-Z0-9_]+$/.test(bare)) {
      throw invalid(
        `security_context.capabilities.${field}`,
        `holds ${quote(name)}, which is not a capability`,
      );
    }
    return bare;
  });
  return [...new Set(normal)];
}

/** Docker's options for the parts of an SELinux label that are given; without SELinux they mean nothing. */
export function selinuxLabels(label: SELinuxOption | undefined, field: string): string[] {
  if (!label) return [];
  const parts = { user: label.user, role: label.role, type: label.type, level: label.level };
  return Object.entries(parts).flatMap(([part, value]) =>
    value === "" ? [] : [`label=${part}:${withoutNul(value, `${field}.selinux_options.${part}`)}`],
  );
}

/**
 * Docker's option for an AppArmor profile; none for the runtime's default.
 * @param deprecated The older form, which counts where the newer one is absent: empty, `runtime/default`,
 *   `unconfined`, `localhost/<name>` or a bare name.
 * @throws ShimError "unsupported" for a named profile without AppArmor; "invalid-argument".
 */
export function apparmorOption(
  profile: SecurityProfile | undefined,
  deprecated: string,
  { security }: EngineEnvironment,
  field: string,
): string[] {
  const name = profile ? profileName(profile, `${field}.apparmor`) : deprecatedName(deprecated);
  if (name === undefined) return [];
  if (name !== unconfined && !security.apparmor) {
    throw unsupported(
      `${field}.apparmor`,
      `asks for the profile ${quote(name)}, but Docker runs without AppArmor`,
    );
  }
  return security.apparmor ? [`apparmor=${withoutNul(name, `${field}.apparmor`)}`] : [];
}

/**
 * The AppArmor profile that a security context names, which the node must have loaded; undefined when it names none.
 * @throws ShimError as {@link apparmorOption} does.
 */
export function apparmorProfile(
  context: { readonly apparmor?: SecurityProfile | undefined; readonly apparmorProfile?: string } | undefined,
  env: EngineEnvironment,
  field: string,
): string | undefined {
  const [option] = apparmorOption(context?.apparmor, context?.apparmorProfile ?? "", env, field);
  const name = option?.slice("apparmor=".length);
  return name === unconfined ? undefined : name;
}

const unconfined = "unconfined";
const localhostPrefix = "localhost/";

function profileName({ profileType, localhostRef }: SecurityProfile, field: string): string | undefined {
  switch (profileType) {
    case ProfileType.RuntimeDefault:
      return undefined;
    case ProfileType.Unconfined:
      return unconfined;
    case ProfileType.Localhost: {
      const name = withoutPrefix(localhostRef);
      if (name === "") throw invalid(`${field}.localhost_ref`, "is missing: it names the profile");
      return name;
    }
    default:
      throw unknownValue(`${field}.profile_type`, profileType);
  }
}

function deprecatedName(text: string): string | undefined {
  if (text === "" || text === "runtime/default") return undefined;
  return withoutPrefix(text);
}

function withoutPrefix(name: string): string {
  return name.startsWith(localhostPrefix) ? name.slice(localhostPrefix.length) : name;
}

/** Paths to mask or to make read-only. @throws ShimError "invalid-argument" for one that is not absolute. */
export function paths(list: readonly string[], field: string): string[] {
  return list.map((path) => absolutePath(path, field));
}
