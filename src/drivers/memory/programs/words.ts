import type { Word } from "./command-line.js";

/** The value of a variable; empty if it is not set. */
export type Lookup = (name: string) => string;

/** A word as one text. */
export function expandWord(word: Word, lookup: Lookup): string {
  return word.map((part) => (part.kind === "text" ? part.text : lookup(part.name) || part.fallback)).join("");
}

/** A word as arguments: values outside quotes are split at blanks, and dropped when they are empty. */
export function splitWord(word: Word, lookup: Lookup): string[] {
  const args: string[] = [];
  let current: string | undefined;
  for (const part of word) {
    const text = expandWord([part], lookup);
    if (part.kind === "text" || part.quoted) {
      current = (current ?? "") + text;
      continue;
    }
    const [first = "", ...rest] = text.split(/[ \t\n]+/);
    if (first !== "") current = (current ?? "") + first;
    for (const field of rest) {
      if (current !== undefined) args.push(current);
      current = field === "" ? undefined : field;
    }
  }
  return current === undefined ? args : [...args, current];
}
