/** How the shim handles a request field: where it is mapped to, or why it is not. */
export type Treatment =
  | { readonly how: "mapped"; readonly to: string }
  /** A value other than the default is an error. */
  | { readonly how: "refused"; readonly why: string }
  /** It has no effect on a container. */
  | { readonly how: "ignored"; readonly why: string };

/** By message name and field name of the contract. */
export type FieldTable = Readonly<Record<string, Readonly<Record<string, Treatment>>>>;

export function mapped(to: string): Treatment {
  return { how: "mapped", to };
}

export function refused(why: string): Treatment {
  return { how: "refused", why };
}

export function ignored(why: string): Treatment {
  return { how: "ignored", why };
}

/** The same treatment for several fields. */
export function each<T extends string>(treatment: Treatment, ...fields: T[]): Record<T, Treatment> {
  return Object.fromEntries(fields.map((field) => [field, treatment])) as Record<T, Treatment>;
}

export const windows = refused("is for Windows, and this is a runtime for Linux");
