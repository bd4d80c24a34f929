import { ShimError, trimTrailing } from "../base/index.js";
import type { RegistryAuth } from "../docker/index.js";
import type { AuthConfig } from "../gen/runtime/v1/api_pb.js";
import { registryHost } from "./registry-host.js";

/** The credentials of a request. */
export type RequestAuth =
  | { readonly kind: "none" }
  | { readonly kind: "given"; readonly auth: RegistryAuth }
  /** For another registry, so they must not be sent to this one. */
  | { readonly kind: "foreign"; readonly server: string };

/**
 * Translates CRI credentials to Docker's. `auth` is base64 of `user:password`, used if `username` is empty.
 * @param registry The registry of the image, such as `docker.io`.
 * @throws ShimError "invalid-argument" for a malformed `auth`.
 */
export function readAuth(config: AuthConfig | undefined, registry: string): RequestAuth {
  if (!config) return { kind: "none" };
  const named =
    config.username === "" && config.auth !== ""
      ? decodeLogin(config.auth)
      : { username: config.username, password: config.password };
  if (!named) {
    throw new ShimError(
      "invalid-argument",
      "auth.auth is not base64 of user:password; check the pull secret that it comes from",
    );
  }
  const { identityToken, registryToken, serverAddress } = config;
  const auth = compact({ ...named, identityToken, registryToken });
  if (Object.keys(auth).length === 0) return { kind: "none" };
  if (serverAddress === "") return { kind: "given", auth };
  if (registryHost(serverAddress) !== registryHost(registry))
    return { kind: "foreign", server: serverAddress };
  return { kind: "given", auth: { ...auth, serverAddress } };
}

/** Decodes base64 of `user:password`; undefined if malformed. */
export function decodeLogin(auth: string): { username: string; password: string } | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(auth.trim())) return undefined;
  const text = Buffer.from(auth.trim(), "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 1) return undefined;
  // Docker's configuration files may pad the password with NULs.
  return { username: text.slice(0, colon), password: trimTrailing(text.slice(colon + 1), "\0") };
}

/** Removes empty fields. */
export function compact(auth: RegistryAuth): RegistryAuth {
  return Object.fromEntries(Object.entries(auth).filter(([, value]) => value !== "" && value !== undefined));
}
