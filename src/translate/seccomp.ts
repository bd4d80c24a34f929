import {
  SecurityProfile_ProfileType as ProfileType,
  type LinuxContainerSecurityContext,
  type LinuxSandboxSecurityContext,
  type SecurityProfile,
} from "../gen/runtime/v1/api_pb.js";
import { ShimError } from "../base/index.js";
import { absolutePath, invalid, quote, unknownValue, unsupported } from "./validation.js";
import type { EngineEnvironment } from "./environment.js";

/** The requested profile: Docker's default, none, or a file on the node. */
type RequestedProfile = "default" | "unconfined" | { readonly file: string };

type SecurityContext = LinuxContainerSecurityContext | LinuxSandboxSecurityContext;

const localhostPrefix = "localhost/";

/**
 * The path of the seccomp profile of a container or sandbox, whose content goes into the spec. Undefined if the request
 * names no file.
 * @throws ShimError "invalid-argument" for a path that is not absolute.
 */
export function seccompFile(context: SecurityContext | undefined): string | undefined {
  const requested = requestedProfile(context);
  return typeof requested === "object" ? requested.file : undefined;
}

/**
 * Docker's option for seccomp.
 *
 * Without a security context Docker's default applies. With a security context but no profile, a container is
 * unconfined, as CRI defines and containerd does, and a sandbox gets Docker's default profile. A privileged container is
 * always unconfined.
 * @param content The content of the file that {@link seccompFile} names.
 * @throws ShimError "invalid-argument" for a file that is not a profile; "unsupported" without seccomp.
 */
export function seccompOption(
  context: SecurityContext | undefined,
  content: string | undefined,
  env: EngineEnvironment,
): string[] {
  const requested = requestedProfile(context);
  if (requested === "default") return [];
  if (requested === "unconfined") return ["seccomp=unconfined"];
  if (!env.security.seccomp) {
    throw unsupported(
      "security_context.seccomp",
      `asks for ${quote(requested.file)}, but Docker runs without seccomp`,
    );
  }
  if (content === undefined) {
    throw new ShimError("internal", `the seccomp profile ${quote(requested.file)} was not read`);
  }
  checkProfile(content, requested.file);
  return [`seccomp=${content}`];
}

function requestedProfile(context: SecurityContext | undefined): RequestedProfile {
  if (!context) return "default";
  const ofContainer = context.$typeName === "runtime.v1.LinuxContainerSecurityContext";
  if (ofContainer && context.privileged) return "unconfined";
  if (context.seccomp) return ofProfile(context.seccomp);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- older kubelets set only this field
  const path = context.seccompProfilePath;
  if (path === "") return ofContainer ? "unconfined" : "default";
  return ofDeprecatedPath(path);
}

function ofProfile({ profileType, localhostRef }: SecurityProfile): RequestedProfile {
  switch (profileType) {
    case ProfileType.RuntimeDefault:
      return "default";
    case ProfileType.Unconfined:
      return "unconfined";
    case ProfileType.Localhost:
      return { file: absolutePath(localhostRef, "security_context.seccomp.localhost_ref") };
    default:
      throw unknownValue("security_context.seccomp.profile_type", profileType);
  }
}

function ofDeprecatedPath(text: string): RequestedProfile {
  const field = "security_context.seccomp_profile_path";
  if (text === "runtime/default" || text === "docker/default") return "default";
  if (text === "unconfined") return "unconfined";
  if (text.startsWith(localhostPrefix)) {
    return { file: absolutePath(text.slice(localhostPrefix.length), field) };
  }
  throw invalid(
    field,
    `is ${quote(text)}, but must be runtime/default, unconfined or localhost/<absolute path>`,
  );
}

/** Docker treats a profile without a default action as no profile, and runs the container unconfined. */
function checkProfile(content: string, file: string): void {
  const refuse = (why: string) => invalid(`the seccomp profile ${quote(file)}`, why);
  let profile: unknown;
  try {
    profile = JSON.parse(content);
  } catch (error) {
    throw refuse(`is not JSON: ${(error as Error).message}`);
  }
  if (typeof profile !== "object" || profile === null || Array.isArray(profile)) {
    throw refuse("is not a JSON object");
  }
  const action: unknown = "defaultAction" in profile ? profile.defaultAction : undefined;
  if (typeof action !== "string" || !action.startsWith("SCMP_ACT_")) {
    throw refuse('has no "defaultAction" such as SCMP_ACT_ERRNO');
  }
}
