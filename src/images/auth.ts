import { ShimError, trimTrailing } from "../base/index.js";
import type { RegistryAuth } from "../docker/index.js";
import type { AuthConfig } from "../gen/runtime/v1/api_pb.js";
import { registryHost } from "./registry-host.js";

/** What a request says of credentials. */
export type RequestAuth =
  | { readonly kind: "none" }
  | { readonly kind: "given"; readonly auth: RegistryAuth }
  /** They are for another registry, and are not shown to this one. */
  | { readonly kind: "foreign"; readonly server: string };

/**
 * CRI's credentials in Docker's form. `auth` is base64 of `user:password` and counts where no user is named.
 * @param registry Of the image, such as `docker.io`.
 * @throws ShimError "invalid-argument" for an `auth` that holds no user and password.
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

/** What base64 of `user:password` holds; undefined for anything else. */
export function decodeLogin(auth: string): { username: string; password: string } | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(auth.trim())) return undefined;
  const text = Buffer.from(auth.trim(), "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 1) return undefined;
  // Docker's own config files pad the password with NULs.
  return { username: text.slice(0, colon), password: trimTrailing(text.slice(colon + 1), "\0") };
}

/** Without the members that are empty. */
export function compact(auth: RegistryAuth): RegistryAuth {
  return Object.fromEntries(Object.entries(auth).filter(([, value]) => value !== "" && value !== undefined));
}
