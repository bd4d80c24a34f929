import { ShimError } from "../base/index.js";

/** Runs a call of a method, named such as `containers.inspect`, and watches it; gives what `work` gives. */
export type Watch = <T>(name: string, work: () => T) => T;

/** Reports the end of a watched call; `error` only when it failed. */
export type End = (error?: unknown) => void;

/** Calls `end` once `result` has come: at once, when the promise settles, or when the iteration is over. */
export function whenOver<T>(result: T, end: End): T {
  if (isPromise(result)) {
    result.then(() => {
      end();
    }, end);
    return result;
  }
  if (isAsyncIterable(result)) return watchedIterable(result, end);
  end();
  return result;
}

/** Begins a watched call and shows how it ends, whether it throws, rejects or succeeds. */
export function runWatched<T>(work: () => T, end: End): T {
  try {
    return whenOver(work(), end);
  } catch (error) {
    end(error);
    throw error;
  }
}

/** `target` with each call of its methods under watch. Calls that it makes of itself are not. */
export function watchMethods<T extends object>(target: T, name: string, watch: Watch): T {
  const methods = new Map<PropertyKey, unknown>();
  return new Proxy(target, {
    get: (_, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function" || typeof key !== "string" || key === "constructor") return value;
      const known = methods.get(key);
      if (known !== undefined) return known;
      const method = value as (...args: unknown[]) => unknown;
      const watched = (...args: unknown[]) => watch(`${name}.${key}`, () => method.apply(target, args));
      methods.set(key, watched);
      return watched;
    },
    set: (_, key, value) => Reflect.set(target, key, value),
  });
}

/** `ok`, or the kind of an error: few values, without its text, which may hold what a registry or a container says. */
export function resultOf(error: unknown): string {
  if (error === undefined) return "ok";
  return error instanceof ShimError ? error.kind : "internal";
}

function watchedIterable<T extends AsyncIterable<unknown>>(iterable: T, end: End): T {
  return new Proxy(iterable, {
    get: (target, key) => {
      if (key === Symbol.asyncIterator) return () => watchedIterator(target[Symbol.asyncIterator](), end);
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

function watchedIterator(iterator: AsyncIterator<unknown>, end: End): AsyncIterableIterator<unknown> {
  let isOver = false;
  const over = (error?: unknown) => {
    if (isOver) return;
    isOver = true;
    end(error);
  };
  const step = async (result: Promise<IteratorResult<unknown>>) => {
    try {
      const next = await result;
      if (next.done) over();
      return next;
    } catch (error) {
      over(error);
      throw error;
    }
  };
  return {
    next: () => step(iterator.next()),
    return: async (value?: unknown) => {
      over();
      return (await iterator.return?.(value)) ?? { done: true, value };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
