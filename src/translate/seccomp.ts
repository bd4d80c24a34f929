import {
  SecurityProfile_ProfileType as ProfileType,
  type LinuxContainerSecurityContext,
  type LinuxSandboxSecurityContext,
  type SecurityProfile,
} from "../gen/runtime/v1/api_pb.js";
import { ShimError } from "../base/index.js";
import { absolutePath, invalid, quote, unknownValue, unsupported } from "./checks.js";
import type { EngineEnvironment } from "./environment.js";

/** What a request wants of seccomp: Docker's default profile, none, or that of a file on the node. */
type Wanted = "default" | "unconfined" | { readonly file: string };

type SecurityContext = LinuxContainerSecurityContext | LinuxSandboxSecurityContext;

const localhostPrefix = "localhost/";

/**
 * The path of the seccomp profile that a container or sandbox needs; its content goes into the spec.
 * Undefined when it needs none.
 * @throws ShimError "invalid-argument" for a path that is not absolute.
 */
export function seccompFile(context: SecurityContext | undefined): string | undefined {
  const wanted = wants(context);
  return typeof wanted === "object" ? wanted.file : undefined;
}

/**
 * Docker's option for seccomp.
 *
 * No security context at all leaves Docker's defaults alone. With one, a container without a profile is
 * unconfined, as CRI says and containerd does; a sandbox gets Docker's default profile. A privileged
 * container has none, whatever it asks for.
 * @param content Of the file that {@link seccompFile} names.
 * @throws ShimError "invalid-argument" for a file that is not a profile; "unsupported" without seccomp.
 */
export function seccompOption(
  context: SecurityContext | undefined,
  content: string | undefined,
  env: EngineEnvironment,
): string[] {
  const wanted = wants(context);
  if (wanted === "default") return [];
  if (wanted === "unconfined") return ["seccomp=unconfined"];
  if (!env.security.seccomp) {
    throw unsupported(
      "security_context.seccomp",
      `asks for ${quote(wanted.file)}, but Docker runs without seccomp`,
    );
  }
  if (content === undefined) {
    throw new ShimError("internal", `the seccomp profile ${quote(wanted.file)} was not read`);
  }
  checkProfile(content, wanted.file);
  return [`seccomp=${content}`];
}

function wants(context: SecurityContext | undefined): Wanted {
  if (!context) return "default";
  const ofContainer = context.$typeName === "runtime.v1.LinuxContainerSecurityContext";
  if (ofContainer && context.privileged) return "unconfined";
  if (context.seccomp) return ofProfile(context.seccomp);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- older kubelets say it this way only
  const path = context.seccompProfilePath;
  if (path === "") return ofContainer ? "unconfined" : "default";
  return ofDeprecatedPath(path);
}

function ofProfile({ profileType, localhostRef }: SecurityProfile): Wanted {
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

function ofDeprecatedPath(text: string): Wanted {
  const field = "security_context.seccomp_profile_path";
  if (text === "runtime/default" || text === "docker/default") return "default";
  if (text === "unconfined") return "unconfined";
  if (text.startsWith(localhostPrefix)) {
    return { file: absolutePath(text.slice(localhostPrefix.length), field) };
  }
  throw invalid(
    field,
    `is ${quote(text)}, but may be runtime/default, unconfined or localhost/<absolute path>`,
  );
}

/** Docker takes a profile without a default action for "no profile", and runs the container unconfined. */
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
