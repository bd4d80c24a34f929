// tsyringe needs Reflect's metadata functions when it is loaded.
import "reflect-metadata";
import { inject as injectToken, type InjectionToken } from "tsyringe";

export { injectable } from "tsyringe";

const tokensOf = new WeakMap<object, InjectionToken[]>();

/** Marks a parameter of a constructor with the token of its value. */
export function inject(token: InjectionToken): ParameterDecorator {
  const decorate = injectToken(token) as ParameterDecorator;
  return (target, key, index) => {
    decorate(target, key, index);
    const tokens = tokensOf.get(target) ?? [];
    tokens[index] = token;
    tokensOf.set(target, tokens);
  };
}

/** The tokens that a class, or the nearest one that it extends, takes in its constructor. */
export function injectedTokens(target: object): readonly InjectionToken[] {
  for (let type: object | null = target; type; type = Object.getPrototypeOf(type) as object | null) {
    const tokens = tokensOf.get(type);
    if (tokens) return tokens;
  }
  return [];
}
