import { userInfo } from "node:os";
import { isAbsolute, join } from "node:path";

/** The variables that docker-cri reads. */
export interface Environment {
  readonly DOCKER_HOST?: string | undefined;
  readonly DOCKER_TLS_VERIFY?: string | undefined;
  readonly DOCKER_API_VERSION?: string | undefined;
  /** The socket of systemd for the notification that the service is ready. */
  readonly NOTIFY_SOCKET?: string | undefined;
  /** The process that gets sockets from systemd, and their number. */
  readonly LISTEN_PID?: string | undefined;
  readonly LISTEN_FDS?: string | undefined;
  /** The device and inode of the journal's socket, if systemd has connected the output to it. */
  readonly JOURNAL_STREAM?: string | undefined;
  readonly PATH?: string | undefined;
  /** The folder of Docker's client configuration, in place of `.docker` in the home folder. */
  readonly DOCKER_CONFIG?: string | undefined;
  readonly HOME?: string | undefined;
}

/** The environment of the process. Nothing else in the package reads it. */
export function processEnvironment(): Environment {
  return process.env;
}

/** The configuration of Docker's client on this node. */
export interface DockerClientSettings {
  /** Where logins are kept. */
  readonly configFile: string;
  /** For credential helpers. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Docker's client configuration of the user that the process runs as. */
export function dockerClientSettings(environment: Environment = processEnvironment()): DockerClientSettings {
  const { DOCKER_CONFIG: folder = "", HOME: named = "", PATH: path = "" } = environment;
  // A service of systemd has no HOME.
  const home = isAbsolute(named) ? named : userInfo().homedir;
  return {
    configFile: join(isAbsolute(folder) ? folder : join(home, ".docker"), "config.json"),
    environment: {
      HOME: home,
      PATH: path === "" ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" : path,
      ...(folder === "" ? {} : { DOCKER_CONFIG: folder }),
    },
  };
}
