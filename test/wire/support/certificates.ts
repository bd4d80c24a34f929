import { createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";

/** A certificate and its key, PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority that signs certificates for tests. Node can read certificates but not make any. */
export class Authority {
  private readonly key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  /** Its own certificate, PEM. */
  readonly cert: string;

  constructor(private readonly name: string) {
    this.cert = this.signed(name, this.key, [extension("551d13", sequence(boolean(true)))]);
  }

  /** A certificate for a server on the loopback interface, or for a client. */
  issue(name: string): Certificate {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const names = sequence(tlv(0x82, Buffer.from("localhost")), tlv(0x87, Buffer.from([127, 0, 0, 1])));
    const cert = this.signed(name, privateKey, [extension("551d11", names)]);
    return { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }) as string };
  }

  /** @see RFC 5280, 4.1 Basic Certificate Fields */
  private signed(subject: string, subjectKey: KeyObject, extensions: Buffer[]): string {
    const algorithm = sequence(objectId("2a8648ce3d040302"));
    const day = 86_400_000;
    const content = sequence(
      tlv(0xa0, integer(Buffer.from([2]))),
      integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
      algorithm,
      distinguishedName(this.name),
      sequence(time(Date.now() - day), time(Date.now() + day)),
      distinguishedName(subject),
      createPublicKey(subjectKey).export({ type: "spki", format: "der" }),
      tlv(0xa3, sequence(...extensions)),
    );
    const signature = sign("sha256", content, this.key);
    const der = sequence(content, algorithm, tlv(0x03, Buffer.from([0]), signature));
    const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
  }
}

function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  return Buffer.concat([Buffer.from([tag, 0x82, body.length >> 8, body.length & 0xff]), body]);
}

function sequence(...parts: Uint8Array[]): Buffer {
  return tlv(0x30, ...parts);
}

function integer(bytes: Buffer): Buffer {
  return tlv(0x02, bytes);
}

function boolean(value: boolean): Buffer {
  return tlv(0x01, Buffer.from([value ? 0xff : 0]));
}

function objectId(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, "hex"));
}

function time(millis: number): Buffer {
  const text = new Date(millis).toISOString().replace(/[-:T]|\.\d+/g, "");
  return tlv(0x17, Buffer.from(text.slice(2)));
}

function distinguishedName(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(objectId("550403"), tlv(0x0c, Buffer.from(commonName)))));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(objectId(id), tlv(0x04, value));
}
