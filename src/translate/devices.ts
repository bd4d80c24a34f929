import type { DockerDevice } from "../docker/index.js";
import type { CDIDevice, Device } from "../gen/runtime/v1/api_pb.js";
import { absolutePath, invalid, quote, unsupported } from "./validation.js";
import { speaksApi, type EngineEnvironment } from "./environment.js";

/** Translates devices, or directories of devices. @throws ShimError "invalid-argument" */
export function dockerDevices(devices: readonly Device[]): DockerDevice[] {
  return devices.map(({ hostPath, containerPath, permissions }, index) => {
    const field = `config.devices[${index}]`;
    if (!/^[rwm]+$/.test(permissions)) {
      throw invalid(`${field}.permissions`, `must be some of r, w and m, but is ${quote(permissions)}`);
    }
    return {
      hostPath: absolutePath(hostPath, `${field}.host_path`),
      containerPath: absolutePath(containerPath, `${field}.container_path`),
      permissions,
    };
  });
}

/** The names of CDI devices. @throws ShimError "unsupported" without CDI in Docker; "invalid-argument" */
export function cdiNames(devices: readonly CDIDevice[], env: EngineEnvironment): string[] {
  const names = devices.map(({ name }, index) => {
    if (/^[^/=\s]+\/[^/=\s]+=[^/=\s]+$/.test(name)) return name;
    throw invalid(
      `config.CDI_devices[${index}].name`,
      `is not of the form vendor/class=device: ${quote(name)}`,
    );
  });
  if (names.length > 0 && !(env.cdiEnabled && speaksApi(env, 44))) {
    throw unsupported(
      "config.CDI_devices",
      `asks for ${quote(names.join(", "))}, but CDI needs Docker 25 and ` +
        `"features": {"cdi": true} in daemon.json`,
    );
  }
  return names;
}
