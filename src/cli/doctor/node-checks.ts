import { parseEndpoint } from "../../base/index.js";
import { endpointsOf } from "../listen.js";
import { fail, ok, warn, type Check, type Patient } from "./finding.js";

/** Where other shims for Docker listen. */
const rivals = ["/run/cri-dockerd.sock", "/var/run/dockershim.sock"];

/** CAP_SYS_RESOURCE's place in a capability mask. @see capabilities(7) */
const sysResource = 24n;

/** Checks of the node itself. */
export const nodeChecks: readonly Check[] = [
  {
    about: "user",
    look: ({ node }) =>
      Promise.resolve(
        node.uid === 0
          ? ok("root")
          : fail(
              `uid ${node.uid}, but network namespaces, cgroups and container logs need root`,
              "run docker-cri as root",
            ),
      ),
  },
  {
    about: "cgroups",
    look: async ({ host }) => {
      const version = await host.kernel.cgroupVersion();
      return version === 2
        ? ok("version 2")
        : warn(
            "version 1, which kubelets since 1.35 refuse by default",
            "boot with cgroup v2, or set failCgroupV1: false in the kubelet's configuration",
          );
    },
  },
  {
    about: "oom_score_adj",
    look: async ({ config, host }) => {
      if (config.restrictOomScoreAdj) return ok("never below docker-cri's own");
      const status = (await host.files.read("/proc/self/status")).toString();
      const mask = /^CapBnd:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
      if (mask === undefined || (BigInt(`0x${mask}`) >> sysResource) & 1n) return ok("can be lowered");
      const own = await host.processes.ownOomScoreAdj();
      return warn(
        `no CAP_SYS_RESOURCE: containers with an oom_score_adj below ${own} cannot start, and every sandbox is one`,
        "run serve with --restrict-oom-score-adj",
      );
    },
  },
  {
    about: "pod network",
    look: async ({ config: { network }, network: look }) => {
      if (network.plugin === "none") return ok("Docker's default bridge");
      const { ready, networkName = "", message = "no CNI configuration" } = await look();
      return ready
        ? ok(`CNI, network ${networkName}`)
        : warn(
            message,
            `put a CNI configuration into ${network.cniConfDir} and its plugins into ${network.cniBinDirs.join(" or ")}: the ` +
              "cluster's network add-on installs both; pods wait until then. --network-plugin none needs neither",
          );
    },
  },
  {
    about: "root directory",
    look: async ({ config: { rootDirectory }, node }) =>
      (await node.mayWrite(`${rootDirectory}/sandbox/x`))
        ? ok(`${rootDirectory} is writable`)
        : fail(
            `${rootDirectory} is not writable`,
            "run as root, or set another directory with --root-directory",
          ),
  },
  {
    about: "socket",
    look: async (patient) => {
      const endpoints = endpointsOf(patient.config.listen);
      const found = await Promise.all(endpoints.map((endpoint) => lookAtSocket(endpoint, patient)));
      return found.find(({ level }) => level !== "ok") ?? ok(found.map((each) => each.found).join(" and "));
    },
  },
  {
    about: "other shims",
    look: async ({ config: { listen }, node }) => {
      for (const path of rivals) {
        if (listen.endpoint.endsWith(path) || !(await node.answers(path))) continue;
        return warn(
          `another shim answers on ${path}`,
          "stop it before you start docker-cri: two shims on one Docker undo each other's work",
        );
      }
      return ok("none");
    },
  },
];

async function lookAtSocket(endpoint: string, { config: { listen }, node }: Patient) {
  const servable = ok(`${endpoint} is available`);
  // systemd passes its socket to the service alone.
  if (endpoint === "fd://") return servable;
  const parsed = parseEndpoint(endpoint);
  if (parsed.kind === "unix" && (await node.answers(parsed.path))) {
    if (await node.isDockerCri(parsed.path)) return ok(`docker-cri serves ${parsed.path}`);
    return warn(
      `another process answers on ${parsed.path}`,
      "stop it, or choose a path with --container-runtime-endpoint",
    );
  }
  await node.checkListen(endpoint, listen);
  if (parsed.kind !== "unix" || (await node.mayWrite(parsed.path))) return servable;
  return fail(
    `no permission to create ${parsed.path}`,
    "run as root, or choose a path with --container-runtime-endpoint",
  );
}
