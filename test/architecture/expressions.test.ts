import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ESLint } from "eslint";

const root = join(import.meta.dirname, "..", "..");

/** Each takes quadratic or exponential time on some text; the first is the one that stopped the shim for 35 s. */
const slow = ["/\\S+[/@]\\S+/g", "/x+$/", "/^(?:a+)+$/", "/^(?:\\d+\\.?\\d*)+$/"];

describe("the linter", () => {
  it("refuses an expression of src that takes more than linear time", async () => {
    // Without the rules that need types: knowing the types of the project takes longer than all else.
    const eslint = new ESLint({
      cwd: root,
      overrideConfig: { languageOptions: { parserOptions: { project: false } } },
      ruleFilter: ({ ruleId }) => ruleId.startsWith("regexp/"),
    });
    const filePath = join(root, "src/base/text.ts");
    for (const expression of slow) {
      const [result] = await eslint.lintText(`export const slow = ${expression};\n`, { filePath });
      const rules = result?.messages.map(({ ruleId }) => ruleId ?? "") ?? [];
      assert.ok(
        rules.some((rule) => rule.startsWith("regexp/no-super-linear")),
        expression,
      );
    }
  });
});
