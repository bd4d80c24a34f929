const decimal: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binary: Readonly<Record<string, bigint>> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };

/**
 * The value of a Kubernetes quantity such as "10M", "1.5Gi" or "2e6", rounded up to a whole number; undefined
 * for a text of another form.
 * @see Kubernetes API, resource.Quantity
 */
export function parseQuantity(text: string): bigint | undefined {
  // The lengths are bounded, so that a hostile exponent cannot make a number of a million digits.
  const match = /^([+-]?)(\d{0,30})(?:\.(\d{0,30}))?(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)$/.exec(
    text,
  );
  if (!match) return undefined;
  const [, sign, whole = "", fraction = "", exponent, suffix = ""] = match;
  if (whole + fraction === "") return undefined;
  const digits = BigInt(whole + fraction);
  const shift = binary[suffix] ?? 0n;
  const power = (exponent === undefined ? (decimal[suffix] ?? 0) : Number(exponent)) - fraction.length;
  const scaled = digits << shift;
  const value =
    power >= 0 ? scaled * 10n ** BigInt(power) : divideUp(scaled, 10n ** BigInt(-power), sign === "-");
  return sign === "-" ? -value : value;
}

/** Rounds towards the larger value: away from zero, or for a negative number towards it. */
function divideUp(value: bigint, by: bigint, negative: boolean): bigint {
  return negative || value % by === 0n ? value / by : value / by + 1n;
}
