/**
 * The lab: Docker Engines, registries, images and programs for the suites and benchmarks that need the
 * real ones. It installs what it needs (root, Debian or Ubuntu), keeps what is expensive in a cache, and
 * leaves the machine as it was.
 *
 * Everything lies below DOCKER_CRI_LAB (default: docker-cri-lab in the folder for temporary files).
 * DOCKER_CRI_LAB_DEBIAN_MIRROR names a Debian mirror for the other engines where apt knows none.
 */

export { CommandError, run, type CommandOptions, type CommandResult } from "./command.js";
export { cribench, type CribenchResult, type CribenchStep } from "./cribench.js";
export { cgroupMounts, removeTree as removeCgroupTree } from "./cgroups.js";
export { type Containerd, type ContainerdOptions } from "./containerd.js";
export { accepts, startCriDockerd, type CriDockerd, type CriDockerdOptions } from "./cri-dockerd.js";
export { Dockerd, startDockerd, type DockerdOptions } from "./dockerd.js";
export { etcdProgram, newerPlugins } from "./engine-bundle.js";
export { prepareEngine, type EngineName } from "./engines.js";
export { hasJournald, keepJournal } from "./journald.js";
export {
  kubeletProgram,
  kubeletVersions,
  kubernetesProgram,
  nodeE2ePrograms,
  releaseVersion,
  type KubeletVersion,
} from "./kubernetes-programs.js";
export { openLab, withLab, type Lab } from "./lab.js";
export { installPackages, type PackageSet } from "./packages.js";
export { cachePath, labFolder, labPath } from "./paths.js";
export {
  endProcess,
  isAlive,
  residentBytes,
  signal,
  startDaemon,
  waitUntil,
  type Daemon,
} from "./processes.js";
export { freePort, manifestDigest, Registry, startRegistry, type RegistryOptions } from "./registry.js";
export { say, timed } from "./say.js";
export { Service, startService, type ServiceOptions } from "./service.js";
export {
  criDockerdProgram,
  crictl,
  critest,
  logindProgram,
  metricsServerProgram,
  moduleProgram,
  v1alpha2Program,
} from "./tools.js";
export { basicImageNames } from "../images/basic.js";
export { makeImage, packLayer, writeArchive, type Image, type ImageConfig } from "../images/image.js";
export { imageSet, loadBasicImages, loadImages, type ImageSet, type ImageSetName } from "../images/sets.js";
