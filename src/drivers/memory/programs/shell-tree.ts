/** A part of a word. Quoted parts are not split at blanks. */
export type WordPart =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | {
      readonly kind: "variable";
      readonly name: string;
      readonly fallback: string | undefined;
      readonly quoted: boolean;
    }
  | { readonly kind: "output"; readonly script: Script; readonly quoted: boolean }
  | { readonly kind: "arithmetic"; readonly expression: string; readonly quoted: boolean };

export type Word = readonly WordPart[];

export interface Redirect {
  /** The stream that is redirected. */
  readonly from: 0 | 1 | 2;
  readonly to:
    | { readonly kind: "stream"; readonly number: 1 | 2 }
    | { readonly kind: "file"; readonly path: Word; readonly mode: "read" | "write" | "append" };
}

export type Command = (
  | {
      readonly kind: "simple";
      readonly assignments: readonly { readonly name: string; readonly value: Word }[];
      readonly words: readonly Word[];
    }
  | { readonly kind: "group"; readonly body: Script; readonly subshell: boolean }
  | { readonly kind: "loop"; readonly until: boolean; readonly condition: Script; readonly body: Script }
  | { readonly kind: "for"; readonly name: string; readonly items: readonly Word[]; readonly body: Script }
  | {
      readonly kind: "if";
      readonly branches: readonly { readonly condition: Script | undefined; readonly body: Script }[];
    }
) & { readonly redirects: readonly Redirect[] };

export interface Pipeline {
  readonly negated: boolean;
  readonly commands: readonly Command[];
}

/** Pipelines joined by `&&` and `||`. */
export interface Chain {
  readonly first: Pipeline;
  readonly rest: readonly { readonly when: "success" | "failure"; readonly pipeline: Pipeline }[];
  readonly background: boolean;
}

export type Script = readonly Chain[];
