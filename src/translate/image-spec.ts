import type { ImageSpec } from "../gen/runtime/v1/api_pb.js";
import { quote, unsupported } from "./checks.js";
import type { EngineEnvironment } from "./environment.js";

/**
 * Docker's images are the same for every runtime, so a handler may be named only where it is the default one.
 * @param field The path of the image spec, for the error.
 * @throws ShimError "unsupported"
 */
export function checkImageHandler(
  spec: ImageSpec | undefined,
  { defaultRuntime }: Pick<EngineEnvironment, "defaultRuntime">,
  field: string,
): void {
  const handler = spec?.runtimeHandler ?? "";
  if (handler === "" || handler === "docker" || handler === defaultRuntime) return;
  throw unsupported(
    `${field}.runtime_handler`,
    `is ${quote(handler)}, but Docker does not keep images by runtime: leave it empty`,
  );
}
