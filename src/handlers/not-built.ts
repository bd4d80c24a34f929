import { ShimError } from "../base/index.js";

/** The RPCs whose part of the shim is not built yet: the one list, which docs/rpc-support.md is checked against. */
export const notBuiltRpcs = ["CheckpointPod", "RestorePod"] as const;

/** The error that such an RPC answers. */
export function notBuilt(rpc: (typeof notBuiltRpcs)[number]): ShimError {
  return new ShimError("unsupported", `docker-cri does not implement ${rpc} yet`);
}
