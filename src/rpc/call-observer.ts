import type { DescMethod } from "@bufbuild/protobuf";

/** Watches the calls of a server, for metrics or traces. Its methods must not throw. */
export interface CallObserver {
  /**
   * A call has come in.
   * @param header Reads a header of the request by its name in lower case.
   */
  begin(method: DescMethod, header: (name: string) => string | undefined): ObservedCall;
}

/** One call under watch. */
export interface ObservedCall {
  /** Runs a step of the handler. */
  run<T>(work: () => T): T;
  /**
   * The call has ended.
   * @param code `OK`, or the name of the error's code, such as `NotFound`.
   * @param number Of gRPC's codes.
   */
  end(code: string, number: number): void;
}
