import type { Script, Word, WordPart } from "./shell-tree.js";

/** The script is not one that this shell understands. */
export class ShellSyntaxError extends Error {
  override readonly name = "ShellSyntaxError";
}

export type Token =
  | { readonly kind: "word"; readonly word: Word; readonly plain: string | undefined }
  | { readonly kind: "operator"; readonly text: string }
  | { readonly kind: "end" };

const operators = ["&&", "||", ">>", ">&", ";", "&", "|", "(", ")", "<", ">", "\n"];
const plainRun = /[^\s;&|()<>'"$\\]+/y;
const namePattern = /^(?:[A-Za-z_][A-Za-z0-9_]*|[?$!#@*0-9])/;

/** Cuts a script into words and operators. */
export class ShellLexer {
  private at = 0;

  /** @param parse Parses the script inside `$(…)`. */
  constructor(
    private readonly source: string,
    private readonly parse: (script: string) => Script,
  ) {}

  tokens(): Token[] {
    const tokens: Token[] = [];
    for (;;) {
      this.skipBlanks();
      if (this.at >= this.source.length) return [...tokens, { kind: "end" }];
      const descriptor = /^[012](?=[<>])/.exec(this.source.slice(this.at, this.at + 2));
      if (descriptor) {
        tokens.push({ kind: "operator", text: descriptor[0] });
        this.at++;
      }
      const operator = operators.find((text) => this.source.startsWith(text, this.at));
      if (operator !== undefined) {
        this.at += operator.length;
        tokens.push({ kind: "operator", text: operator });
      } else tokens.push(this.word());
    }
  }

  private skipBlanks(): void {
    for (;;) {
      const char = this.source[this.at];
      if (char === " " || char === "\t" || char === "\r") this.at++;
      else if (char === "\\" && this.source[this.at + 1] === "\n") this.at += 2;
      else if (char === "#") {
        while (this.at < this.source.length && this.source[this.at] !== "\n") this.at++;
      } else return;
    }
  }

  private word(): Token {
    const parts: WordPart[] = [];
    let plain: string | undefined = "";
    for (;;) {
      const char = this.source[this.at];
      if (char === undefined || /[\s;&|()<>]/.test(char)) break;
      if (char === "'") {
        parts.push({ kind: "text", text: this.until("'", this.at + 1), quoted: true });
        plain = undefined;
      } else if (char === '"') {
        this.at++;
        this.doubleQuoted(parts);
        plain = undefined;
      } else if (char === "$") {
        parts.push(this.dollar(false));
        plain = undefined;
      } else if (char === "\\") {
        parts.push({ kind: "text", text: this.source[this.at + 1] ?? "", quoted: true });
        this.at += 2;
        plain = undefined;
      } else {
        plainRun.lastIndex = this.at;
        const text = plainRun.exec(this.source)?.[0] ?? char;
        this.at += text.length;
        parts.push({ kind: "text", text, quoted: false });
        if (plain !== undefined) plain += text;
      }
    }
    return { kind: "word", word: parts, plain };
  }

  private doubleQuoted(parts: WordPart[]): void {
    let text = "";
    const flush = () => {
      parts.push({ kind: "text", text, quoted: true });
      text = "";
    };
    for (;;) {
      const char = this.source[this.at];
      if (char === undefined) throw new ShellSyntaxError("unterminated quoted string");
      if (char === '"') break;
      if (char === "$") {
        flush();
        parts.push(this.dollar(true));
        continue;
      }
      const next = this.source[this.at + 1] ?? "";
      if (char === "\\" && '"$\\`\n'.includes(next)) {
        if (next !== "\n") text += next;
        this.at += 2;
        continue;
      }
      text += char;
      this.at++;
    }
    this.at++;
    flush();
  }

  /** What follows a dollar sign. */
  private dollar(quoted: boolean): WordPart {
    const rest = this.source.slice(this.at + 1);
    if (rest.startsWith("((")) {
      const end = this.source.indexOf("))", this.at);
      if (end < 0) throw new ShellSyntaxError("missing '))'");
      const expression = this.source.slice(this.at + 3, end);
      this.at = end + 2;
      return { kind: "arithmetic", expression, quoted };
    }
    if (rest.startsWith("(")) {
      const inner = this.parenthesised();
      return { kind: "output", script: this.parse(inner), quoted };
    }
    if (rest.startsWith("{")) {
      const inner = this.until("}", this.at + 2);
      const match = /^([A-Za-z_][A-Za-z0-9_]*|[?$!#0-9])(?::?-([^]*))?$/.exec(inner);
      if (!match?.[1]) throw new ShellSyntaxError(`bad substitution \${${inner}}`);
      return { kind: "variable", name: match[1], fallback: match[2], quoted };
    }
    const name = namePattern.exec(rest)?.[0];
    this.at += 1 + (name?.length ?? 0);
    if (name === undefined) return { kind: "text", text: "$", quoted };
    return { kind: "variable", name, fallback: undefined, quoted };
  }

  /** The text of `$(…)` without its frame; brackets inside quotes do not count. */
  private parenthesised(): string {
    const start = this.at + 2;
    let depth = 1;
    let quote: string | undefined;
    for (let at = start; at < this.source.length; at++) {
      const char = this.source[at];
      if (quote !== undefined) {
        if (char === quote) quote = undefined;
      } else if (char === "'" || char === '"') quote = char;
      else if (char === "(") depth++;
      else if (char === ")" && --depth === 0) {
        this.at = at + 1;
        return this.source.slice(start, at);
      }
    }
    throw new ShellSyntaxError("missing ')'");
  }

  private until(end: string, from: number): string {
    const found = this.source.indexOf(end, from);
    if (found < 0) throw new ShellSyntaxError(`missing ${end}`);
    this.at = found + 1;
    return this.source.slice(from, found);
  }
}
