import type { DescMethod, DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import { ImageService, RuntimeService } from "../gen/runtime/v1/api_pb.js";

/** The services of CRI v1 by their names. */
export const services = { RuntimeService, ImageService } as const;

/** The name of a service. */
export type ServiceName = keyof typeof services;

/** All services: the default. */
export const allServices: readonly ServiceName[] = ["RuntimeService", "ImageService"];

/** The methods of the services, in the contract's order. */
export function methodsOf(names: readonly ServiceName[]): (DescMethodUnary | DescMethodServerStreaming)[] {
  return names.flatMap((name) => services[name].methods.map(servedMethod));
}

/** CRI has no method with a client stream; if it gets one, this fails at start. */
function servedMethod(method: DescMethod): DescMethodUnary | DescMethodServerStreaming {
  if (method.methodKind === "unary") return method as DescMethodUnary;
  if (method.methodKind === "server_streaming") return method as DescMethodServerStreaming;
  throw new TypeError(`${method.toString()}: ${method.methodKind} methods are not served`);
}

/** The path of a method for gRPC and Connect clients. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/**
 * The path of a method for kubelets before 1.26, which use the version v1alpha2. The messages have the same encoding.
 * @see Kubernetes 1.26, removal of CRI v1alpha2
 */
export function formerPathOf(method: DescMethod): string {
  return pathOf(method).replace("/runtime.v1.", "/runtime.v1alpha2.");
}

const writes: ReadonlySet<string> = new Set([
  "RunPodSandbox",
  "StopPodSandbox",
  "RemovePodSandbox",
  "CreateContainer",
  "StartContainer",
  "StopContainer",
  "RemoveContainer",
  "UpdateContainerResources",
  "UpdatePodSandboxResources",
  "UpdateRuntimeConfig",
  "ReopenContainerLog",
  "Exec",
  "Attach",
  "PortForward",
  "CheckpointContainer",
  "CheckpointPod",
  "RestorePod",
  "PullImage",
  "RemoveImage",
]);

/**
 * True for a method that changes state, or grants access. ExecSync does not count: probes call it
 * every few seconds.
 */
export function isWrite(method: DescMethod): boolean {
  return writes.has(method.name);
}
