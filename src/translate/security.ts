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
} from "./validation.js";
import type { EngineEnvironment } from "./environment.js";

/** The user and group of a process. */
export interface UserIdentity {
  readonly runAsUser?: Int64Value | undefined;
  readonly runAsGroup?: Int64Value | undefined;
  /** Empty or absent: unset. */
  readonly runAsUsername?: string;
}

/**
 * Docker's `user[:group]`; undefined for the image's default user.
 * @param field The path of the security context, for errors.
 * @throws ShimError "invalid-argument"
 */
export function userAndGroup(identity: UserIdentity, field: string): string | undefined {
  const { runAsUser, runAsGroup, runAsUsername = "" } = identity;
  if (runAsUser && runAsUsername !== "") {
    throw invalid(`${field}.run_as_username`, "excludes run_as_user: set only one of them");
  }
  if (/[:\0\n]/.test(runAsUsername)) {
    throw invalid(`${field}.run_as_username`, `is not the name of a user: ${quote(runAsUsername)}`);
  }
  const user = runAsUser ? userOrGroupId(runAsUser.value, `${field}.run_as_user`) : runAsUsername;
  if (!runAsGroup) return user === "" ? undefined : user;
  if (user === "") throw invalid(`${field}.run_as_group`, "needs run_as_user or run_as_username");
  return `${user}:${userOrGroupId(runAsGroup.value, `${field}.run_as_group`)}`;
}

/** Translates supplemental groups. @throws ShimError "invalid-argument" */
export function groups(gids: readonly bigint[], field: string): string[] {
  return gids.map((gid) => userOrGroupId(gid, `${field}.supplemental_groups`));
}

/**
 * Capability names in Docker's form: `ALL`, or without `CAP_`, without duplicates.
 * @throws ShimError "invalid-argument" for an invalid name.
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
        `contains ${quote(name)}, which is not a capability`,
      );
    }
    return bare;
  });
  return [...new Set(normal)];
}

/** Docker's options for the parts of an SELinux label. Docker ignores them without SELinux. */
export function selinuxLabels(label: SELinuxOption | undefined, field: string): string[] {
  if (!label) return [];
  const parts = { user: label.user, role: label.role, type: label.type, level: label.level };
  return Object.entries(parts).flatMap(([part, value]) =>
    value === "" ? [] : [`label=${part}:${withoutNul(value, `${field}.selinux_options.${part}`)}`],
  );
}

/**
 * Docker's option for an AppArmor profile; none for the runtime's default.
 * @param deprecated The deprecated field, used if `profile` is absent: empty, `runtime/default`, `unconfined`,
 *   `localhost/<name>` or a bare name.
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
 * The AppArmor profile that must be loaded on the node; undefined if the security context names none.
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

/** Masked or read-only paths. @throws ShimError "invalid-argument" for a path that is not absolute. */
export function paths(list: readonly string[], field: string): string[] {
  return list.map((path) => absolutePath(path, field));
}
