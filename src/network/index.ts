export { podInterface } from "./cni/attachment.js";
export { CniNetwork } from "./cni-network.js";
export { BridgeNetwork, createNetwork } from "./create-network.js";
export {
  Network,
  type NetworkAttachment,
  type NetworkCallOptions,
  type NetworkStatus,
  type PodDns,
  type PodIdentity,
  type PodPortMapping,
  type PodToAttach,
  type PodToCheck,
  type PodToDetach,
} from "./network.js";
