import { ShimError, present } from "../../../base/index.js";
import type { RegistryAuth } from "../../../docker/index.js";
import {} from "../decode/json.js";

/**
 * The parameters of a pull. A name without a tag gets `latest`: Docker would pull every tag there is.
 * @throws ShimError "invalid-argument" for an invalid name.
 * @see Docker API POST /images/create
 */
export function encodePull(reference: string): { fromImage: string; tag: string } {
  const operation = "images.pull";
  if (reference === "")
    throw new ShimError("invalid-argument", `${operation}: the image name is empty`, { operation });
  if (/^(?:sha256:)?[0-9a-f]{64}$/.test(reference))
    throw new ShimError(
      "invalid-argument",
      `${operation}: ${reference} is an image ID: pull the image by its name`,
      { operation },
    );
  const [name, digest] = splitOnce(reference, reference.indexOf("@"));
  const colon = name.lastIndexOf(":");
  const [repository, tag] = splitOnce(name, colon > name.lastIndexOf("/") ? colon : -1);
  return { fromImage: repository, tag: digest ?? tag ?? "latest" };
}

/**
 * The X-Registry-Auth header: JSON in base64url, with padding. Docker requires the header also without a login.
 */
export function encodeAuth(auth: RegistryAuth | undefined): string {
  const json = JSON.stringify(
    present({
      username: auth?.username,
      password: auth?.password,
      serveraddress: auth?.serverAddress,
      identitytoken: auth?.identityToken,
      registrytoken: auth?.registryToken,
    }),
  );
  return Buffer.from(json).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}

function splitOnce(text: string, at: number): [string, string?] {
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
