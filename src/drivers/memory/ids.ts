import { createHash, randomBytes } from "node:crypto";

/** A new id in Docker's form: 64 hex digits whose first twelve are not all decimal. */
export function randomId(): string {
  for (;;) {
    const id = randomBytes(32).toString("hex");
    if (/[a-f]/.test(id.slice(0, 12))) return id;
  }
}

/** `sha256:` and the digest of a text in hex. */
export function digestOf(content: string | Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}
