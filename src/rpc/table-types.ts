import type { DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { StreamHandler, UnaryHandler } from "../handlers/index.js";
import type { services } from "./services.js";

/** The handler type of a method. */
export type HandlerOf<M> = M extends DescMethodUnary
  ? UnaryHandler<M>
  : M extends DescMethodServerStreaming
    ? StreamHandler<M>
    : never;

/** A class whose instances answer a method, with any injected constructor parameters. */
export type HandlerClass<M> = new (...dependencies: never[]) => HandlerOf<M>;

type ServiceTable<Methods> = { readonly [Name in keyof Methods]: HandlerClass<Methods[Name]> };

/**
 * The class that answers each method of each service. Write the table with `satisfies HandlerTable`: then a missing
 * method, or the class of another one, does not compile.
 */
export type HandlerTable = {
  readonly [Service in keyof typeof services]: ServiceTable<(typeof services)[Service]["method"]>;
};
