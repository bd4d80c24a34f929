import type { DependencyContainer, InjectionToken } from "tsyringe";
import { injectedTokens, ShimError } from "../base/index.js";

/** Finds the parts of a shim by their tokens. */
export interface ShimResolver {
  resolve<T>(token: InjectionToken<T>): T;
}

/** A part of a shim. It is made when it is first needed, and once. */
export type ShimPart<T> =
  | { readonly useValue: T }
  /** A class that extends the shim's own is made with the same arguments. */
  | { readonly useClass: new (...args: never[]) => T }
  | { readonly useFactory: (from: ShimResolver) => T };

/** Takes parts in place of the shim's own. */
export interface ShimParts {
  register<T>(token: InjectionToken<T>, part: ShimPart<T>): void;
}

/** The parts of the shim that is made from a container. */
export function partsOf(container: DependencyContainer): ShimParts {
  return {
    register(token, part) {
      if ("useValue" in part) container.register(token, part);
      else container.register(token, { useFactory: oncePerContainer(token, makerOf(part)) });
    },
  };
}

function makerOf<T>(part: Exclude<ShimPart<T>, { readonly useValue: T }>): (from: ShimResolver) => T {
  if ("useFactory" in part) return part.useFactory;
  const { useClass } = part;
  return (from) => {
    const values = injectedTokens(useClass).map((token): unknown => from.resolve(token));
    return new useClass(...(values as never[]));
  };
}

/** A factory that caches its result: tsyringe's own caching factory would share it between shims. */
export function oncePerContainer<T>(
  token: InjectionToken<T>,
  make: (container: DependencyContainer) => T,
): (container: DependencyContainer) => T {
  let made: { readonly value: T } | undefined;
  let isMaking = false;
  return (container) => {
    if (made) return made.value;
    if (isMaking)
      throw new ShimError("invalid-argument", `the part ${nameOf(token)} cannot be made from itself`);
    isMaking = true;
    try {
      made = { value: make(container) };
    } finally {
      isMaking = false;
    }
    return made.value;
  };
}

/** The shim's tokens are classes and symbols. */
function nameOf(token: InjectionToken): string | undefined {
  return typeof token === "function" ? token.name : (token as symbol).description;
}
