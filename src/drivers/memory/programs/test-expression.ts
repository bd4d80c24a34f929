import type { ProgramFiles } from "./program.js";

/** What `test` answers: 0 for true, 1 for false, 2 for what is no expression. */
export function testExpression(args: readonly string[], files: ProgramFiles): number {
  const [first, second, third] = args;
  if (first === "!") {
    const inner = testExpression(args.slice(1), files);
    return inner === 2 ? 2 : 1 - inner;
  }
  if (args.length === 0) return 1;
  if (args.length === 1) return answer(first !== "");
  if (args.length === 2) return unary(first ?? "", second ?? "", files);
  return args.length === 3 ? binary(first ?? "", second ?? "", third ?? "") : 2;
}

function answer(truth: boolean): number {
  return truth ? 0 : 1;
}

function unary(operator: string, operand: string, files: ProgramFiles): number {
  switch (operator) {
    case "-n":
      return answer(operand !== "");
    case "-z":
      return answer(operand === "");
    case "-e":
    case "-f":
    case "-r":
      return answer(sizeOf(operand, files) !== undefined);
    case "-s":
      return answer((sizeOf(operand, files) ?? 0) > 0);
    default:
      return 2;
  }
}

function sizeOf(path: string, files: ProgramFiles): number | undefined {
  try {
    return files.read(path).length;
  } catch {
    return undefined;
  }
}

function binary(left: string, operator: string, right: string): number {
  switch (operator) {
    case "=":
    case "==":
      return answer(left === right);
    case "!=":
      return answer(left !== right);
    case "-eq":
      return answer(Number(left) === Number(right));
    case "-ne":
      return answer(Number(left) !== Number(right));
    case "-lt":
      return answer(Number(left) < Number(right));
    case "-le":
      return answer(Number(left) <= Number(right));
    case "-gt":
      return answer(Number(left) > Number(right));
    case "-ge":
      return answer(Number(left) >= Number(right));
    default:
      return 2;
  }
}
