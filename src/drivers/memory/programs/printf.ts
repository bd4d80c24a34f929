const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
  "\\": "\\",
};

/** Puts characters in place of `\n`, `\t`, `\0NNN`, `\xHH` and their like; each is one character, one byte up to 0x7f. */
export function unescapeText(text: string): string {
  return text.replace(
    /\\(?:0?([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))/g,
    (whole, octal?: string, hex?: string, char?: string) => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      return escapes[char ?? ""] ?? whole;
    },
  );
}

/** What printf prints: the format is used again as long as there are arguments. */
export function printf([format = "", ...values]: readonly string[]): string {
  const left = [...values];
  let output = "";
  do {
    const before = left.length;
    output += unescapeText(format).replace(/%(%|[-0]?\d*)([sdibx]?)/g, (_, width: string, type: string) => {
      if (width === "%") return `%${type}`;
      const value = left.shift() ?? "";
      return pad(convert(type, value), width);
    });
    if (left.length === before) break;
  } while (left.length > 0);
  return output;
}

function convert(type: string, value: string): string {
  if (type === "d" || type === "i") return String(Math.trunc(Number(value)) || 0);
  if (type === "x") return (Math.trunc(Number(value)) || 0).toString(16);
  return type === "b" ? unescapeText(value) : value;
}

function pad(text: string, width: string): string {
  const length = Math.min(Number(width.replace(/^[-0]/, "")) || 0, 4096);
  if (width.startsWith("-")) return text.padEnd(length);
  return text.padStart(length, width.startsWith("0") ? "0" : " ");
}
