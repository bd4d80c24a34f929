import { ShimError } from "../base/index.js";
import type { DockerContainerConfig } from "../docker/index.js";
import type { Inventory } from "../inventory/index.js";
import type { ImageExport } from "./image-export.js";

const passwdFile = "etc/passwd";
const maxPasswdBytes = 1024 * 1024;

/**
 * The user of a container with supplemental_groups_policy Strict, with its group: Docker adds groups of the image's
 * /etc/group only to a user without one. A group that is not given is the user's in the image's /etc/passwd.
 * @throws ShimError "not-found" for a missing image; "unsupported" for an /etc/passwd that cannot be read.
 */
export async function userWithGroup(
  config: DockerContainerConfig,
  inventory: Inventory,
  images: ImageExport,
): Promise<string> {
  const name = config.image ?? "";
  const image = inventory.images.find(name) ?? (await inventory.images.refresh(name));
  if (!image) throw new ShimError("not-found", `the image ${name} is not on the node: pull it first`);
  const given = config.user ?? image.config.user ?? "";
  const [user = "", group = ""] = given.split(":");
  if (group !== "") return given;
  const labelled = { id: image.id, labels: image.config.labels ?? {} };
  const passwd = await images.readFile(labelled, passwdFile, maxPasswdBytes);
  return `${user || "0"}:${primaryGroup(passwd ?? "", user || "0")}`;
}

/**
 * The group of a user in /etc/passwd, found as Docker does: by its number if it is one, else by its name; 0 if the file
 * does not have it. Docker refuses an unknown name at the container's start.
 * @see passwd(5)
 */
export function primaryGroup(passwd: string, user: string): number {
  const column = /^\d+$/.test(user) ? 2 : 0;
  const fields = passwd
    .split("\n")
    .map((line) => line.trim().split(":"))
    .find((each) => each[column] === user);
  const group = Number(fields?.[3]);
  return Number.isInteger(group) && group >= 0 && group <= 0x7fff_ffff ? group : 0;
}
