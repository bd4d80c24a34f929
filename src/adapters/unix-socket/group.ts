import { readFile } from "node:fs/promises";
import { ShimError } from "../../base/index.js";

const largestGid = 0xffff_fffe;

/**
 * The gid of a group given by number, or by its name in /etc/group.
 * @throws ShimError "invalid-argument" for an unknown name and an impossible number.
 */
export async function groupId(group: string | number): Promise<number> {
  if (typeof group === "number" || /^\d+$/.test(group)) {
    const gid = Number(group);
    if (Number.isInteger(gid) && gid >= 0 && gid <= largestGid) return gid;
    throw new ShimError("invalid-argument", `group ${group} is not a GID: use a number or a group name`);
  }
  const lines = (await readFile("/etc/group", "utf8")).split("\n");
  const gid = lines.map((line) => line.split(":")).find(([name]) => name === group)?.[2];
  if (gid === undefined || !/^\d+$/.test(gid)) {
    throw new ShimError(
      "invalid-argument",
      `/etc/group has no group ${JSON.stringify(group)}: add it, or use a GID`,
    );
  }
  return Number(gid);
}
