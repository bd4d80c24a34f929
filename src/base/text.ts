/** The most of a foreign text that is parsed and quoted, in characters. */
const maxLength = 2048;

/**
 * The beginning of a text that an engine, a registry or another program has written. Their texts can have any length,
 * so they are cut before an expression runs over them.
 */
export function excerpt(text: string): string {
  const trimmed = text.slice(0, 2 * maxLength).trim();
  return trimmed.length <= maxLength ? trimmed : `${trimmed.slice(0, maxLength)}…`;
}

/** Removes a character from the end of a text, in linear time; a regular expression would take quadratic time. */
export function trimTrailing(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) end--;
  return text.slice(0, end);
}
