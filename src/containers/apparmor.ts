import { isEngineLocal } from "../config/index.js";
import { messageOf, ShimError } from "../base/index.js";
import { apparmorProfile } from "../translate/index.js";
import type { ContainersContext } from "./context.js";

/** The loaded profiles, one per line: `NAME (MODE)`. @see Linux, Documentation/admin-guide/LSM/apparmor.rst */
const profilesFile = "/sys/kernel/security/apparmor/profiles";

/**
 * Checks that the AppArmor profile of a security context is loaded on the node. Docker does not check it at create, and
 * its error at start does not name the profile. The check is skipped if the kernel's list is not readable.
 * @throws ShimError "failed-precondition" with the profile; "invalid-argument", "unsupported" for the field.
 */
export async function requireApparmorProfile(
  context: Parameters<typeof apparmorProfile>[0],
  field: string,
  { host, inventory, config, log }: ContainersContext,
): Promise<void> {
  const profile = apparmorProfile(context, inventory.environment(), field);
  if (profile === undefined || !isEngineLocal(config)) return;
  let list: string;
  try {
    list = (await host.files.read(profilesFile)).toString("utf8");
  } catch (error) {
    log.debug({ profile, err: messageOf(error) }, "cannot read which AppArmor profiles are loaded");
    return;
  }
  if (list.split("\n").some((line) => line.replace(/ \([a-z]+\)$/, "") === profile)) return;
  throw new ShimError(
    "failed-precondition",
    `${field}.apparmor: the profile ${JSON.stringify(profile)} is not loaded on this node: load it with apparmor_parser, ` +
      `or name one that ${profilesFile} lists`,
  );
}
