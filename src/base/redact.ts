/** Behind the `@` of an image's digest, in place of a host. */
const digest = /^@[a-z0-9+._-]{1,32}:[0-9a-f]{32}/;

/**
 * The text without logins (`user:password@` before a host), and without the values that Node quotes in its errors for
 * arguments with a NUL byte. Takes linear time.
 */
export function withoutCredentials(text: string): string {
  const named = text.replaceAll(/without null bytes\. Received [^\n]*/g, "without null bytes");
  return named.includes("@") ? named.replaceAll(/[^\s"'/<>()]+/g, withoutLogin) : named;
}

function withoutLogin(word: string): string {
  const at = word.lastIndexOf("@");
  const colon = word.indexOf(":");
  if (at < 0 || colon < 0 || colon > at || digest.test(word.slice(at))) return word;
  return `***${word.slice(at)}`;
}
