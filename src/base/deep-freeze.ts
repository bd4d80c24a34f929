/**
 * Freezes a value with all that it holds, so that a change throws; it may then be shared. The bytes of a typed array
 * cannot be frozen: they must not be changed either.
 * @returns The same value.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value))
    return value;
  Object.freeze(value);
  for (const held of Object.values(value)) deepFreeze(held);
  return value;
}
