import { isKind, messageOf } from "../../base/index.js";
import type { DockerInfo, DockerService } from "../../docker/index.js";
import { logDriver } from "../../translate/index.js";
import { fail, ok, patienceMs, warn, type Check } from "./finding.js";

const call = { deadlineMs: patienceMs };

/** Whether Docker answers. If not, {@link dockerChecks} are skipped. */
export const dockerAnswers: Check = {
  about: "Docker",
  look: async ({ config, docker }) => {
    const where =
      config.engine.kind === "docker" ? config.engine.endpoint : `the ${config.engine.kind} engine`;
    try {
      await docker.system.ping(call);
    } catch (error) {
      const advice = isKind(error, "permission-denied")
        ? "run as root"
        : "start Docker (systemctl start docker), or name its socket with --docker-endpoint";
      return fail(messageOf(error), advice);
    }
    const { engineVersion = "of unknown version" } = await docker.system.version(call);
    return ok(`${engineVersion} answers on ${where}`);
  },
};

/** Checks of Docker's version and configuration. */
export const dockerChecks: readonly Check[] = [
  {
    about: "API version",
    look: async ({ docker }) => {
      const [major, minor] = await docker.system.apiVersion(call);
      return ok(`${major}.${minor} is used`);
    },
  },
  {
    about: "cgroup driver",
    look: async ({ docker, host }) => {
      const systemd = (await host.files.kindOf("/run/systemd/system")) === "directory";
      return judgeCgroupDriver(await infoOf(docker), systemd);
    },
  },
  {
    about: "user namespace",
    look: async ({ docker }) => {
      const { securityOptions } = await infoOf(docker);
      if (!securityOptions.includes("name=userns")) return ok("the node's");
      return warn(
        "dockerd has userns-remap: pods run in the node's user namespace all the same, as Kubernetes means it, and the " +
          "files of images have the remapped owners there",
        'remove "userns-remap" from /etc/docker/daemon.json: programs that are not root, and setuid ones, may fail',
      );
    },
  },
  {
    about: "AppArmor",
    look: async ({ docker, host }) => {
      const enabled = await host.files
        .read("/sys/module/apparmor/parameters/enabled")
        .catch(() => Buffer.of());
      const { securityOptions } = await infoOf(docker);
      const used = securityOptions.some((option) => option.startsWith("name=apparmor"));
      if (!enabled.toString("utf8").startsWith("Y")) return ok("not on this node");
      if (!used)
        return warn(
          "the kernel has AppArmor, but Docker runs without: pods are not confined, and those that name a profile are refused",
          "install the package apparmor (apparmor_parser), and restart Docker",
        );
      try {
        await host.files.read("/sys/kernel/security/apparmor/profiles");
      } catch (error) {
        return warn(
          `which profiles are loaded cannot be read: ${messageOf(error)}`,
          "run as root, and mount securityfs at /sys/kernel/security: a pod's missing profile is else found at its start",
        );
      }
      return ok("Docker uses it");
    },
  },
  {
    about: "sandbox image",
    look: async ({ config: { sandboxImage }, docker }) => {
      try {
        await docker.images.inspect(sandboxImage, call);
        return ok(`${sandboxImage} is there`);
      } catch (error) {
        if (!isKind(error, "not-found")) throw error;
        return warn(
          `${sandboxImage} is not there: it is pulled at start`,
          "without a registry, docker load it, or name another with --pod-infra-container-image",
        );
      }
    },
  },
  {
    about: "container logs",
    look: async ({ config: { logs }, docker }) => {
      if (logs.mode === "docker-json" && logs.dockerDriver === "local")
        return fail(
          "logs.mode docker-json links Docker's JSON files, and logs.dockerDriver local writes none",
          "set logs.dockerDriver to json-file, or logs.mode to cri",
        );
      const own = logDriver(logs, await docker.system.apiVersion(call));
      return judgeLogDriver(await infoOf(docker), own);
    },
  },
];

function infoOf(docker: DockerService): Promise<DockerInfo> {
  return docker.system.info(call);
}

function judgeCgroupDriver({ cgroupDriver }: DockerInfo, systemd: boolean) {
  if (cgroupDriver === undefined || cgroupDriver === "none")
    return fail(
      "Docker names no cgroup driver: it runs rootless, or without cgroups",
      "run Docker as root: the kubelet's limits need cgroups",
    );
  if (cgroupDriver === "cgroupfs" && systemd)
    return warn(
      "cgroupfs, on a node that systemd manages: two managers of one cgroup tree",
      'set "exec-opts": ["native.cgroupdriver=systemd"] in /etc/docker/daemon.json before the first pod, and ' +
        "cgroupDriver: systemd for a kubelet that does not ask the runtime",
    );
  return ok(cgroupDriver);
}

function judgeLogDriver({ logDriver }: DockerInfo, own: string) {
  if (logDriver === undefined || ["json-file", "local", "journald"].includes(logDriver))
    return ok(`containers get Docker's ${own} driver`);
  return warn(
    `containers get Docker's ${own} driver; those that another shim has made may have Docker's default, ${logDriver}, ` +
      "which cannot be read back",
    "remake such pods to see their logs",
  );
}
