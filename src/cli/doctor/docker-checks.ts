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
        : "start Docker (systemctl start docker), or set its socket with --docker-endpoint";
      return fail(messageOf(error), advice);
    }
    const { engineVersion = "unknown version" } = await docker.system.version(call);
    return ok(`${engineVersion} at ${where}`);
  },
};

/** Checks of Docker's version and configuration. */
export const dockerChecks: readonly Check[] = [
  {
    about: "API version",
    look: async ({ docker }) => {
      const [major, minor] = await docker.system.apiVersion(call);
      return ok(`${major}.${minor}`);
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
        "dockerd has userns-remap: pods still run in the node's user namespace, as Kubernetes expects, but the files of " +
          "images have the remapped owners",
        'remove "userns-remap" from /etc/docker/daemon.json: non-root and setuid programs may fail',
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
      if (!enabled.toString("utf8").startsWith("Y")) return ok("not enabled on this node");
      if (!used)
        return warn(
          "the kernel has AppArmor enabled, but Docker does not use it: pods are not confined, and those with a profile are refused",
          "install apparmor_parser (package apparmor), and restart Docker",
        );
      try {
        await host.files.read("/sys/kernel/security/apparmor/profiles");
      } catch (error) {
        return warn(
          `cannot read the list of loaded profiles: ${messageOf(error)}`,
          "run as root, and mount securityfs at /sys/kernel/security: otherwise a missing profile is found only when a pod starts",
        );
      }
      return ok("used by Docker");
    },
  },
  {
    about: "sandbox image",
    look: async ({ config: { sandboxImage }, docker }) => {
      try {
        await docker.images.inspect(sandboxImage, call);
        return ok(`${sandboxImage} is present`);
      } catch (error) {
        if (!isKind(error, "not-found")) throw error;
        return warn(
          `${sandboxImage} is not present; it will be pulled at start`,
          "if no registry can be reached, docker load it, or set another image with --pod-infra-container-image",
        );
      }
    },
  },
  {
    about: "container logs",
    look: async ({ config: { logs }, docker }) => {
      if (logs.mode === "docker-json" && logs.dockerDriver === "local")
        return fail(
          "logs.mode docker-json links to Docker's JSON log files, but logs.dockerDriver local writes none",
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
      "Docker has no cgroup driver: it runs rootless, or without cgroups",
      "run Docker as root: the kubelet's limits need cgroups",
    );
  if (cgroupDriver === "cgroupfs" && systemd)
    return warn(
      "cgroupfs on a systemd node: two managers of one cgroup tree",
      'set "exec-opts": ["native.cgroupdriver=systemd"] in /etc/docker/daemon.json before the first pod, and ' +
        "cgroupDriver: systemd for a kubelet that does not ask the runtime for its driver",
    );
  return ok(cgroupDriver);
}

function judgeLogDriver({ logDriver }: DockerInfo, own: string) {
  if (logDriver === undefined || ["json-file", "local", "journald"].includes(logDriver))
    return ok(`new containers use Docker's ${own} driver`);
  return warn(
    `new containers use Docker's ${own} driver, but those of another shim may use Docker's default, ${logDriver}, ` +
      "which cannot be read back",
    "recreate those pods to see their logs",
  );
}
