import { evaluateArithmetic } from "./arithmetic.js";
import type { Script, Word, WordPart } from "./shell-tree.js";

/** What words may refer to. */
export interface Variables {
  get(name: string): string | undefined;
  /** What a script prints, without the newlines at its end. */
  capture(script: Script): Promise<string>;
}

/** A word as one text. */
export async function expandWord(word: Word, variables: Variables): Promise<string> {
  let text = "";
  for (const part of word) text += await expandPart(part, variables);
  return text;
}

/** Words as arguments: what stands outside quotes is split at blanks, and vanishes when it is empty. */
export async function expandWords(words: readonly Word[], variables: Variables): Promise<string[]> {
  const args: string[] = [];
  for (const word of words) {
    let current: string | undefined;
    for (const part of word) {
      const text = await expandPart(part, variables);
      if (part.quoted || part.kind === "text") {
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
    if (current !== undefined) args.push(current);
  }
  return args;
}

async function expandPart(part: WordPart, variables: Variables): Promise<string> {
  switch (part.kind) {
    case "text":
      return part.text;
    case "variable": {
      const value = variables.get(part.name);
      return value === undefined || value === "" ? (part.fallback ?? "") : value;
    }
    case "output":
      return await variables.capture(part.script);
    case "arithmetic":
      return String(evaluateArithmetic(part.expression, (name) => variables.get(name) ?? "0"));
  }
}
