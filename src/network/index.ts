export { podInterface } from "./cni/attachment.js";
export { CniNetwork } from "./cni-network.js";
export { BridgeNetwork, createNetwork } from "./create-network.js";
export * from "./network.js";
