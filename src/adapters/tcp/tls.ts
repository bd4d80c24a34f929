import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { messageOf, ShimError } from "../../base/index.js";

/** A server's certificate, and the authorities whose clients it accepts. All are PEM. */
export interface ServerTls {
  /** The certificate, and the intermediate ones. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Clients need a certificate that one of these authorities has signed; without it, any client may connect. */
  readonly ca?: string | Buffer | undefined;
}

const certificateForm = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;

/**
 * Reads certificate, key and authorities. OpenSSL ignores what it cannot read, and for an empty `ca` Node
 * uses the public authorities: such a server would refuse every client, or accept strangers.
 * @throws ShimError "invalid-argument" with the name of the file that cannot be used.
 */
export function checkTls({ cert, key, ca }: ServerTls): void {
  const [own] = certificatesIn("cert", cert);
  if (ca !== undefined) certificatesIn("ca", ca);
  if (own?.checkPrivateKey(keyIn(key)) !== true)
    throw new ShimError("invalid-argument", "tls: the key does not match the certificate");
}

function certificatesIn(name: string, pem: string | Buffer): X509Certificate[] {
  const blocks = String(pem).match(certificateForm) ?? [];
  if (blocks.length === 0)
    throw new ShimError("invalid-argument", `tls: there is no PEM certificate in ${name}`);
  return blocks.map((block) => readable(name, () => new X509Certificate(block)));
}

function keyIn(pem: string | Buffer): KeyObject {
  return readable("key", () => createPrivateKey(pem));
}

function readable<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new ShimError("invalid-argument", `tls: ${name} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
