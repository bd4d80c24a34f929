import { ShimError } from "../base/index.js";
import { booleanOf, oneOf, type ServeFlag } from "./flag.js";
import { ShimConfigSchema } from "./shim-config.js";

const defaults = ShimConfigSchema.parse({}).network;

const group = "The pods' network:";

/** Flags of the pods' network, those of cri-dockerd included. */
export const networkFlags: readonly ServeFlag[] = [
  {
    group,
    names: "--network-plugin",
    value: "<name>",
    default: defaults.plugin,
    description: 'cni, or none (also "" and no-op): pods live on Docker\'s default bridge',
    criDockerd: true,
    apply: (value, { draft }) => {
      (draft.network ??= {}).plugin = networkPluginOf(value);
    },
  },
  {
    group,
    names: "--cni-conf-dir",
    value: "<dir>",
    default: defaults.cniConfDir,
    description: "where CNI configurations are found",
    criDockerd: true,
    apply: (value, { draft }) => {
      (draft.network ??= {}).cniConfDir = value;
    },
  },
  {
    group,
    names: "--cni-bin-dir",
    value: "<dirs>",
    default: defaults.cniBinDirs.join(","),
    description: "where CNI plugins are found; several folders comma-separated",
    criDockerd: true,
    apply: (value, { draft }) => {
      const folders = value.split(",").filter((folder) => folder !== "");
      if (folders.length === 0) throw new ShimError("invalid-argument", "name at least one folder");
      (draft.network ??= {}).cniBinDirs = folders;
    },
  },
  {
    group,
    names: "--cni-cache-dir",
    value: "<dir>",
    default: defaults.cniCacheDir,
    description: "where CNI results are kept, so that a pod's network can be undone after a restart",
    criDockerd: true,
    apply: (value, { draft }) => {
      (draft.network ??= {}).cniCacheDir = value;
    },
  },
  {
    group,
    names: "--pod-cidr",
    value: "<subnets>",
    default: "the kubelet's",
    description: "subnets for CNI plugins that ask for them, comma-separated",
    criDockerd: true,
    apply: (value, { draft }) => {
      (draft.network ??= {}).podCidr = value;
    },
  },
  {
    group,
    names: "--ipv6-dual-stack",
    value: "[true|false]",
    default: "true",
    description: "accepted; a pod's addresses are always reported, of both families",
    criDockerd: true,
    apply: (value, { note }) => {
      booleanOf(value);
      note("has no effect: a pod's addresses are always reported, of both families");
    },
  },
  {
    group,
    names: "--network-plugin-mtu",
    value: "<bytes>",
    default: "0",
    description: "accepted; kubenet's. With CNI the MTU stands in the CNI configuration",
    criDockerd: true,
    apply: (value, { note }) => {
      if (!/^\d{1,6}$/.test(value))
        throw new ShimError("invalid-argument", `"${value}" is not a number of bytes`);
      if (Number(value) !== 0) note('has no effect: set "mtu" in the CNI configuration');
    },
  },
  {
    group,
    names: "--hairpin-mode",
    value: "<mode>",
    default: "none",
    description: "accepted; kubenet's. With CNI it is the bridge plugin's hairpinMode",
    criDockerd: true,
    apply: (value, { note }) => {
      const mode = oneOf(value, ["none", "hairpin-veth", "promiscuous-bridge"]);
      if (mode !== "none")
        note(
          'has no effect: set "hairpinMode" or "promiscMode" of the bridge plugin in the CNI configuration',
        );
    },
  },
  {
    group,
    names: "--runtime-cgroups",
    value: "<cgroup>",
    default: "none",
    description: "accepted; Docker stays in the cgroup of its own systemd unit",
    criDockerd: true,
    apply: (value, { note }) => {
      if (value !== "")
        note(
          "has no effect: Docker is not moved; set Slice= and MemoryMax= in Docker's systemd unit instead",
        );
    },
  },
];

function networkPluginOf(value: string): "cni" | "none" {
  if (value === "" || value === "no-op") return "none";
  if (value === "kubenet")
    throw new ShimError(
      "invalid-argument",
      "kubenet is not there: put a configuration with the CNI plugins bridge, host-local and portmap into " +
        `${defaults.cniConfDir} and use cni`,
    );
  return oneOf(value, ["cni", "none"]);
}
