import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../docker/lab/index.js";
import type { Certificate } from "../kubelet/kubelet.js";
import { namespace } from "../kubelet/pods.js";

/** An authority that signs certificates, as kubeadm makes them for a cluster. */
export class Authority {
  private constructor(
    private readonly folder: string,
    readonly certFile: string,
    readonly keyFile: string,
  ) {}

  /** Makes the authority's own certificate, NAME.crt and NAME.key of the folder. */
  static async make(folder: string, name: string): Promise<Authority> {
    const { certFile, keyFile } = await request(folder, name, ["-subj", `/CN=${name}`]);
    return new Authority(folder, certFile, keyFile);
  }

  /**
   * Signs a certificate for servers and clients.
   * @param subject As openssl writes it: `/O=group/CN=user`.
   * @param names What a server is called: `IP:192.0.2.1`, `DNS:kubernetes`.
   */
  async sign(name: string, subject: string, names: readonly string[] = []): Promise<Certificate> {
    const signer = ["-CA", this.certFile, "-CAkey", this.keyFile, "-subj", subject];
    const extensions = ["extendedKeyUsage=serverAuth,clientAuth", "basicConstraints=critical,CA:FALSE"];
    if (names.length > 0) extensions.push(`subjectAltName=${names.join(",")}`);
    const more = extensions.flatMap((extension) => ["-addext", extension]);
    return { ...(await request(this.folder, name, [...signer, ...more])), caFile: this.certFile };
  }
}

async function request(folder: string, name: string, more: readonly string[]) {
  const [certFile, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", keyFile, "-out", certFile];
  await run("openssl", ["req", "-x509", ...key, "-days", "2", ...more]);
  return { certFile, keyFile };
}

/** Writes a user's kubeconfig beside its certificate, and answers its path. */
export async function writeKubeconfig(server: string, user: Certificate): Promise<string> {
  const path = user.certFile.replace(/\.crt$/, ".kubeconfig");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "lab", cluster: { server, "certificate-authority": user.caFile } }],
    users: [{ name: "lab", user: { "client-certificate": user.certFile, "client-key": user.keyFile } }],
    contexts: [{ name: "lab", context: { cluster: "lab", user: "lab", namespace } }],
    "current-context": "lab",
  };
  await writeFile(path, JSON.stringify(config, undefined, 2));
  return path;
}
