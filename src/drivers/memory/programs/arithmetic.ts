const tokenPattern = /\s*(\d+|[A-Za-z_]\w*|==|!=|<=|>=|&&|\|\||[-+*/%()<>!])/gy;
const levels: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["==", "!="],
  ["<", "<=", ">", ">="],
  ["+", "-"],
  ["*", "/", "%"],
];

/**
 * Works out a shell's `$((…))` in whole numbers.
 * @param variable The value of a name.
 * @throws Error for what is no expression, and for a division by zero.
 */
export function evaluateArithmetic(expression: string, variable: (name: string) => string): number {
  const tokens: string[] = [];
  const trimmed = expression.trim();
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < trimmed.length) {
    const token = tokenPattern.exec(trimmed)?.[1];
    if (token === undefined) throw new Error(`arithmetic syntax error: ${expression}`);
    tokens.push(token);
  }
  let at = 0;

  const atom = (): number => {
    const token = tokens[at++];
    if (token === "(") {
      const value = level(0);
      if (tokens[at++] !== ")") throw new Error(`arithmetic syntax error: ${expression}`);
      return value;
    }
    if (token === "-") return -atom();
    if (token === "+") return atom();
    if (token === "!") return atom() === 0 ? 1 : 0;
    if (token === undefined || !/^\w+$/.test(token))
      throw new Error(`arithmetic syntax error: ${expression}`);
    return Math.trunc(Number(/^\d/.test(token) ? token : variable(token))) || 0;
  };

  const level = (index: number): number => {
    const operators = levels[index];
    if (!operators) return atom();
    let value = level(index + 1);
    for (let token = tokens[at]; token !== undefined && operators.includes(token); token = tokens[at]) {
      at++;
      value = apply(token, value, level(index + 1));
    }
    return value;
  };

  const value = level(0);
  if (at < tokens.length) throw new Error(`arithmetic syntax error: ${expression}`);
  return value;
}

function apply(operator: string, left: number, right: number): number {
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
    case "%":
      if (right === 0) throw new Error("divide by zero");
      return operator === "/" ? Math.trunc(left / right) : left % right;
    default:
      return compare(operator, left, right) ? 1 : 0;
  }
}

function compare(operator: string, left: number, right: number): boolean {
  switch (operator) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
    case "&&":
      return left !== 0 && right !== 0;
    default:
      return left !== 0 || right !== 0;
  }
}
