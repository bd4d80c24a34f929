import { ShimError } from "../base/index.js";
import { booleanOf, oneOf, type ServeFlag } from "./flag.js";
import { ShimConfigSchema } from "./shim-config.js";

const defaults = ShimConfigSchema.parse({}).network;

const group = "Pod network:";

/** Flags of the pod network, including those of cri-dockerd. */
export const networkFlags: readonly ServeFlag[] = [
  {
    group,
    names: "--network-plugin",
    value: "<name>",
    default: defaults.plugin,
    description: 'cni, or none (also "" and no-op): Docker\'s default bridge',
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
    description: "directory of CNI configuration files",
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
    description: "directories of CNI plugins, comma-separated",
    criDockerd: true,
    apply: (value, { draft }) => {
      const folders = value.split(",").filter((folder) => folder !== "");
      if (folders.length === 0) throw new ShimError("invalid-argument", "name at least one directory");
      (draft.network ??= {}).cniBinDirs = folders;
    },
  },
  {
    group,
    names: "--cni-cache-dir",
    value: "<dir>",
    default: defaults.cniCacheDir,
    description: "directory of cached CNI results; needed to tear down a pod's network after a restart",
    criDockerd: true,
    apply: (value, { draft }) => {
      (draft.network ??= {}).cniCacheDir = value;
    },
  },
  {
    group,
    names: "--pod-cidr",
    value: "<subnets>",
    default: "set by the kubelet",
    description: "subnets for CNI plugins that request ipRanges, comma-separated",
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
    description: "accepted, no effect: all of a pod's addresses are always reported",
    criDockerd: true,
    apply: (value, { note }) => {
      booleanOf(value);
      note("has no effect: all of a pod's addresses are always reported");
    },
  },
  {
    group,
    names: "--network-plugin-mtu",
    value: "<bytes>",
    default: "0",
    description: "accepted, no effect: set mtu in the CNI configuration",
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
    description: "accepted, no effect: set hairpinMode of the bridge plugin in the CNI configuration",
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
    description: "accepted, no effect: Docker stays in the cgroup of its systemd unit",
    criDockerd: true,
    apply: (value, { note }) => {
      if (value !== "")
        note(
          "has no effect: Docker stays in its own cgroup; set Slice= and MemoryMax= in Docker's systemd unit",
        );
    },
  },
];

function networkPluginOf(value: string): "cni" | "none" {
  if (value === "" || value === "no-op") return "none";
  if (value === "kubenet")
    throw new ShimError(
      "invalid-argument",
      "kubenet is not supported: put a configuration with the CNI plugins bridge, host-local and portmap into " +
        `${defaults.cniConfDir} and use --network-plugin cni`,
    );
  return oneOf(value, ["cni", "none"]);
}
