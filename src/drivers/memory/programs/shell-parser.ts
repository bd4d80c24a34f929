import { ShellLexer, ShellSyntaxError, type Token } from "./shell-lexer.js";
import type { Chain, Command, Pipeline, Redirect, Script, Word } from "./shell-tree.js";

const deepest = 64;

/**
 * Parses the part of the shell's language that tests need: lists, pipelines, groups, loops, conditions,
 * redirections, variables, `$(…)` and `$((…))`.
 * @throws ShellSyntaxError
 */
export function parseScript(source: string, depth = 0): Script {
  if (depth > deepest) throw new ShellSyntaxError("nested too deeply");
  const tokens = new ShellLexer(source, (inner) => parseScript(inner, depth + 1)).tokens();
  return new Parser(tokens).script();
}

class Parser {
  private at = 0;
  private depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  script(): Script {
    const chains = this.list([]);
    if (this.peek().kind !== "end") this.fail();
    return chains;
  }

  /** Chains up to one of the closing words, which stays unread. */
  private list(closers: readonly string[]): Chain[] {
    if (++this.depth > deepest) throw new ShellSyntaxError("nested too deeply");
    const chains: Chain[] = [];
    for (;;) {
      while (this.takeOperator("\n") || this.takeOperator(";"));
      const token = this.peek();
      if (token.kind === "end" || closers.some((text) => isText(token, text))) break;
      chains.push(this.chain());
    }
    this.depth--;
    return chains;
  }

  private chain(): Chain {
    const first = this.pipeline();
    const rest: { when: "success" | "failure"; pipeline: Pipeline }[] = [];
    for (;;) {
      const when = this.takeOperator("&&") ? "success" : this.takeOperator("||") ? "failure" : undefined;
      if (!when) break;
      this.skipNewlines();
      rest.push({ when, pipeline: this.pipeline() });
    }
    return { first, rest, background: this.takeOperator("&") };
  }

  private pipeline(): Pipeline {
    const negated = this.takeWord("!");
    const commands = [this.command()];
    while (this.takeOperator("|")) {
      this.skipNewlines();
      commands.push(this.command());
    }
    return { negated, commands };
  }

  private command(): Command {
    if (this.takeWord("if")) return this.withRedirects({ kind: "if", branches: this.branches() });
    if (this.takeWord("while")) return this.loop(false);
    if (this.takeWord("until")) return this.loop(true);
    if (this.takeWord("for")) return this.forLoop();
    if (this.takeWord("{")) return this.group("}", false);
    if (this.takeOperator("(")) return this.group(")", true);
    return this.simple();
  }

  private group(closer: string, subshell: boolean): Command {
    const body = this.list([closer]);
    this.expect(closer);
    return this.withRedirects({ kind: "group", body, subshell });
  }

  private loop(until: boolean): Command {
    const condition = this.list(["do"]);
    this.expect("do");
    const body = this.list(["done"]);
    this.expect("done");
    return this.withRedirects({ kind: "loop", until, condition, body });
  }

  private forLoop(): Command {
    const token = this.next();
    if (token.kind !== "word" || token.plain === undefined) return this.fail();
    this.expect("in");
    const items: Word[] = [];
    for (let item = this.peek(); item.kind === "word"; item = this.peek()) {
      items.push(item.word);
      this.at++;
    }
    while (this.takeOperator("\n") || this.takeOperator(";"));
    this.expect("do");
    const body = this.list(["done"]);
    this.expect("done");
    return this.withRedirects({ kind: "for", name: token.plain, items, body });
  }

  private branches(): { condition: Script | undefined; body: Script }[] {
    const condition = this.list(["then"]);
    this.expect("then");
    const body = this.list(["elif", "else", "fi"]);
    if (this.takeWord("elif")) return [{ condition, body }, ...this.branches()];
    if (!this.takeWord("else")) {
      this.expect("fi");
      return [{ condition, body }];
    }
    const otherwise = this.list(["fi"]);
    this.expect("fi");
    return [
      { condition, body },
      { condition: undefined, body: otherwise },
    ];
  }

  private simple(): Command {
    const assignments: { name: string; value: Word }[] = [];
    const words: Word[] = [];
    const redirects: Redirect[] = [];
    for (;;) {
      const redirect = this.redirect();
      if (redirect) {
        redirects.push(redirect);
        continue;
      }
      const token = this.peek();
      if (token.kind !== "word") break;
      this.at++;
      const assignment = words.length === 0 ? asAssignment(token.word) : undefined;
      if (assignment) assignments.push(assignment);
      else words.push(token.word);
    }
    if (assignments.length + words.length + redirects.length === 0) this.fail();
    return { kind: "simple", assignments, words, redirects };
  }

  private withRedirects<C>(command: C): C & { redirects: Redirect[] } {
    const redirects: Redirect[] = [];
    for (let redirect = this.redirect(); redirect; redirect = this.redirect()) redirects.push(redirect);
    return { ...command, redirects };
  }

  private redirect(): Redirect | undefined {
    const token = this.peek();
    if (token.kind !== "operator") return undefined;
    const descriptor = /^[012]$/.test(token.text) ? Number(token.text) : undefined;
    if (descriptor !== undefined) this.at++;
    const operator = this.peek();
    if (operator.kind !== "operator" || !["<", ">", ">>", ">&"].includes(operator.text)) return undefined;
    this.at++;
    const target = this.next();
    if (target.kind !== "word") return this.fail();
    const from = descriptor ?? (operator.text === "<" ? 0 : 1);
    if (from !== 0 && from !== 1 && from !== 2) return this.fail();
    if (operator.text !== ">&") {
      const mode = operator.text === "<" ? "read" : operator.text === ">" ? "write" : "append";
      return { from, to: { kind: "file", path: target.word, mode } };
    }
    if (target.plain !== "1" && target.plain !== "2") return this.fail();
    return { from, to: { kind: "stream", number: target.plain === "1" ? 1 : 2 } };
  }

  private peek(): Token {
    return this.tokens[this.at] ?? { kind: "end" };
  }

  private next(): Token {
    const token = this.peek();
    this.at++;
    return token;
  }

  private takeOperator(text: string): boolean {
    const token = this.peek();
    if (token.kind !== "operator" || token.text !== text) return false;
    this.at++;
    return true;
  }

  private takeWord(text: string): boolean {
    const token = this.peek();
    if (token.kind !== "word" || token.plain !== text) return false;
    this.at++;
    return true;
  }

  private expect(text: string): void {
    if (!this.takeWord(text) && !this.takeOperator(text)) this.fail();
  }

  private skipNewlines(): void {
    while (this.takeOperator("\n"));
  }

  private fail(): never {
    const token = this.peek();
    const text =
      token.kind === "operator" ? token.text : token.kind === "word" ? (token.plain ?? "word") : "end";
    throw new ShellSyntaxError(`syntax error: unexpected ${JSON.stringify(text)}`);
  }
}

function isText(token: Token, text: string): boolean {
  if (token.kind === "operator") return token.text === text;
  return token.kind === "word" && token.plain === text;
}

/** `NAME=value` as its two halves. */
function asAssignment(word: Word): { name: string; value: Word } | undefined {
  const [first, ...rest] = word;
  if (first?.kind !== "text" || first.quoted) return undefined;
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=([^]*)$/.exec(first.text);
  if (!match?.[1]) return undefined;
  return { name: match[1], value: [{ kind: "text", text: match[2] ?? "", quoted: false }, ...rest] };
}
