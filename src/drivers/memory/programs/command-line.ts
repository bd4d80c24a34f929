/** A part of a word: text, or the value of a variable. Unquoted text is split at blanks. */
export type WordPart =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | {
      readonly kind: "variable";
      readonly name: string;
      /** The value of `${NAME:-fallback}` when the variable is empty. */
      readonly fallback: string;
      readonly quoted: boolean;
    };

export type Word = readonly WordPart[];

export interface Redirect {
  readonly from: 0 | 1 | 2;
  /** A stream's number, or a file. */
  readonly to: 1 | 2 | { readonly path: Word; readonly mode: "<" | ">" | ">>" };
}

export interface Command {
  /** `NAME=value` in front of the command. */
  readonly assignments: readonly { readonly name: string; readonly value: Word }[];
  readonly words: readonly Word[];
  readonly redirects: readonly Redirect[];
}

/** Pipelines joined by `&&` and `||`. */
export interface Chain {
  readonly steps: readonly {
    readonly after: "&&" | "||" | undefined;
    readonly pipeline: readonly Command[];
  }[];
  /** It ends with `&`. */
  readonly background: boolean;
}

type Token = { readonly operator: string } | { readonly word: Word };

const blanks = /(?:[ \t\r]|\\\n|#[^\n]*)+/y;
const operatorPattern = /&&|\|\||[012]?>>|[012]?>&|[012]?>|0?<|[;&|\n]/y;
const plainText = /[^\s;&|()<>'"$\\`]+/y;
const variablePattern = /\$(?:([A-Za-z_]\w*|[?$!#0-9])|\{([A-Za-z_]\w*|[?$!#0-9])(?::?-([^}]*))?\})/y;
const unsupportedWords = ["if", "for", "while", "until", "case", "function", "{", "}", "!"];

/**
 * Parses a command line: commands with quotes, `$NAME` and redirects, joined by `;`, `&&`, `||`, `|` and `&`.
 * @throws Error for an invalid command line, and for the rest of the shell's language: loops, conditions, groups,
 *   functions, `$(…)`.
 */
export function parseCommandLine(source: string): Chain[] {
  const tokens = tokenize(source);
  let at = 0;
  const takeOperator = (...wanted: readonly string[]): string | undefined => {
    const token = tokens[at];
    if (!token || !("operator" in token) || !wanted.includes(token.operator)) return undefined;
    at++;
    return token.operator;
  };

  const command = (): Command => {
    const assignments: { name: string; value: Word }[] = [];
    const words: Word[] = [];
    const redirects: Redirect[] = [];
    for (let token = tokens[at]; token; token = tokens[at]) {
      if ("word" in token) {
        const assignment = words.length === 0 ? asAssignment(token.word) : undefined;
        if (assignment) assignments.push(assignment);
        else words.push(token.word);
        at++;
      } else if (/[<>]/.test(token.operator)) {
        redirects.push(redirect(token.operator, tokens[at + 1]));
        at += 2;
      } else break;
    }
    const [first] = words[0] ?? [];
    if (first?.kind === "text" && !first.quoted && unsupportedWords.includes(first.text))
      throw unsupported(first.text);
    if (assignments.length + words.length + redirects.length === 0) throw unexpected(tokens[at]);
    return { assignments, words, redirects };
  };

  const pipeline = (): Command[] => {
    const commands = [command()];
    while (takeOperator("|")) commands.push(command());
    return commands;
  };

  const chains: Chain[] = [];
  for (;;) {
    while (takeOperator(";", "\n"));
    if (at >= tokens.length) return chains;
    const steps: { after: "&&" | "||" | undefined; pipeline: Command[] }[] = [
      { after: undefined, pipeline: pipeline() },
    ];
    for (let after = takeOperator("&&", "||"); after !== undefined; after = takeOperator("&&", "||")) {
      while (takeOperator("\n"));
      steps.push({ after: after === "&&" ? "&&" : "||", pipeline: pipeline() });
    }
    const background = takeOperator("&") !== undefined;
    if (!background && at < tokens.length && !takeOperator(";", "\n")) throw unexpected(tokens[at]);
    chains.push({ steps, background });
  }
}

function unsupported(text: string): Error {
  return new Error(
    `${JSON.stringify(text)} is not supported: the memory engine runs plain command lines; ` +
      "give the image a program of its own instead (programs in createTestShim)",
  );
}

function unexpected(token: Token | undefined): Error {
  const text = token && "operator" in token ? JSON.stringify(token.operator) : token ? "word" : "end";
  return new Error(`syntax error: unexpected ${text}`);
}

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at += matchAt(blanks, source, at)?.[0].length ?? 0;
    if (at >= source.length) return tokens;
    const operator = matchAt(operatorPattern, source, at)?.[0];
    if (operator !== undefined) {
      tokens.push({ operator });
      at += operator.length;
      continue;
    }
    const { word, end } = readWord(source, at);
    tokens.push({ word });
    at = end;
  }
}

function matchAt(pattern: RegExp, source: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(source);
}

function readWord(source: string, start: number): { readonly word: Word; readonly end: number } {
  const word: WordPart[] = [];
  let at = start;
  while (at < source.length && !/[\s;&|<>]/.test(source[at] ?? "")) {
    const char = source[at] ?? "";
    const plain = matchAt(plainText, source, at)?.[0];
    if (plain !== undefined) {
      word.push({ kind: "text", text: plain, quoted: false });
      at += plain.length;
    } else if (char === "'") {
      const end = closing("'", source, at);
      word.push({ kind: "text", text: source.slice(at + 1, end), quoted: true });
      at = end + 1;
    } else if (char === '"') {
      at = readDoubleQuoted(source, at, word);
    } else if (char === "\\") {
      word.push({ kind: "text", text: source[at + 1] ?? "", quoted: true });
      at += 2;
    } else if (char === "$") {
      at = readVariable(source, at, word, false);
    } else throw unsupported(char);
  }
  return { word, end: at };
}

function closing(quote: string, source: string, at: number): number {
  const end = source.indexOf(quote, at + 1);
  if (end < 0) throw new Error(`syntax error: missing ${quote}`);
  return end;
}

/** @returns The offset after it. */
function readDoubleQuoted(source: string, start: number, word: WordPart[]): number {
  // Empty quotes are a word.
  word.push({ kind: "text", text: "", quoted: true });
  let at = start + 1;
  for (; source[at] !== '"';) {
    const char = source[at];
    if (char === undefined) throw new Error('syntax error: missing "');
    if (char === "`") throw unsupported(char);
    if (char === "$") {
      at = readVariable(source, at, word, true);
      continue;
    }
    const escaped = char === "\\" && '"$\\`'.includes(source[at + 1] ?? "?");
    word.push({ kind: "text", text: escaped ? (source[at + 1] ?? "") : char, quoted: true });
    at += escaped ? 2 : 1;
  }
  return at + 1;
}

function readVariable(source: string, at: number, word: WordPart[], quoted: boolean): number {
  const match = matchAt(variablePattern, source, at);
  if (match) {
    word.push({ kind: "variable", name: match[1] ?? match[2] ?? "", fallback: match[3] ?? "", quoted });
    return at + match[0].length;
  }
  if (/[({@*]/.test(source[at + 1] ?? "")) throw unsupported(source.slice(at, at + 2));
  word.push({ kind: "text", text: "$", quoted });
  return at + 1;
}

function redirect(operator: string, target: Token | undefined): Redirect {
  if (!target || !("word" in target)) throw unexpected(target);
  const from = operator.startsWith("2") ? 2 : operator.startsWith("0") || operator === "<" ? 0 : 1;
  const bare = operator.replace(/^[012]/, "");
  if (bare !== ">&")
    return { from, to: { path: target.word, mode: bare === "<" || bare === ">>" ? bare : ">" } };
  const [part] = target.word;
  if (part?.kind !== "text" || (part.text !== "1" && part.text !== "2")) throw unexpected(target);
  return { from, to: part.text === "1" ? 1 : 2 };
}

function asAssignment([first, ...rest]: Word): { name: string; value: Word } | undefined {
  if (first?.kind !== "text" || first.quoted) return undefined;
  const match = /^([A-Za-z_]\w*)=(.*)$/.exec(first.text);
  if (!match?.[1]) return undefined;
  return { name: match[1], value: [{ kind: "text", text: match[2] ?? "", quoted: true }, ...rest] };
}
