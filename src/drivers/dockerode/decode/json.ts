import { Malformed } from "../failures.js";

/** A JSON object that is not validated. */
export type Json = Readonly<Record<string, unknown>>;

/** The object, or undefined for anything else. */
export function object(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

/** The object; an empty one for anything else. */
export function fields(value: unknown): Json {
  return object(value) ?? {};
}

/** A text that is not empty. */
export function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** A whole number above 0: Docker writes 0 for a field that is not set. */
export function positive(value: unknown): number | undefined {
  const known = number(value);
  return known !== undefined && known > 0 ? known : undefined;
}

export function flag(value: unknown): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}

/** The members; an empty list for anything but an array. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/** The texts of an array; undefined for anything but an array. */
export function texts(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === "string") : undefined;
}

/** The text members of an object; undefined for anything but an object. */
export function textMap(value: unknown): Record<string, string> | undefined {
  const known = object(value);
  return known === undefined
    ? undefined
    : Object.fromEntries(
        Object.entries(known).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
      );
}

/** One of the words; undefined for any other. */
export function oneOf<T extends string>(value: unknown, ...words: readonly T[]): T | undefined {
  return words.find((word) => word === value);
}

/** @throws Malformed when it is not an object. */
export function mustBeObject(value: unknown, what: string): Json {
  const known = object(value);
  if (known === undefined) throw new Malformed(`${what} is not an object`);
  return known;
}

/** Docker writes null for an empty array. @throws Malformed for anything else. */
export function mustBeList(value: unknown, what: string): readonly unknown[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw new Malformed(`${what} is not a list`);
  return value as unknown[];
}

/** The 64 hex digits of a container or exec. @throws Malformed for anything else. */
export function mustBeId(value: unknown, what: string): string {
  if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value))
    throw new Malformed(`${what} has no id of 64 hex digits`);
  return value;
}
