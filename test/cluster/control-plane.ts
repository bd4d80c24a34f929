import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { etcdProgram, freePort, kubernetesProgram, run, type Lab } from "../docker/lab/index.js";
import type { Certificate } from "../kubelet/kubelet.js";
import { Authority, writeKubeconfig } from "./certificates.js";
import { Kubectl } from "./kubectl.js";

/** The processes of a cluster that are not a node's, with the certificates that kubeadm would make. */
export interface ControlPlane {
  readonly server: string;
  readonly admin: Certificate;
  readonly authority: Authority;
  /** As the cluster's administrator. */
  readonly kubectl: Kubectl;
}

export interface ControlPlaneOptions {
  readonly folder: string;
  /** The address of the machine that pods reach the API server at. */
  readonly address: string;
  /** The first three numbers of the services' addresses. */
  readonly serviceNet: string;
}

/** Starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler. @throws Error when one does not serve. */
export async function startControlPlane(lab: Lab, options: ControlPlaneOptions): Promise<ControlPlane> {
  const { folder, address, serviceNet } = options;
  await mkdir(folder, { recursive: true });
  const authority = await Authority.make(folder, "ca");
  const etcd = await startEtcd(lab, authority);
  const port = await freePort();
  const server = `https://${address}:${port}`;
  const admin = await authority.sign("admin", "/O=system:masters/CN=kubernetes-admin");
  const kubectl = await Kubectl.prepare(await writeKubeconfig(server, admin));
  const accounts = await makeAccountKey(folder);
  const flags = await apiServerFlags(folder, authority, options, etcd);
  await lab.service({
    name: "kube-apiserver",
    command: await kubernetesProgram("cmd/kube-apiserver", "1.36"),
    args: [
      ...flags,
      `--secure-port=${port}`,
      `--service-cluster-ip-range=${serviceNet}.0/24`,
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--service-account-key-file=${accounts}`,
      `--service-account-signing-key-file=${accounts}`,
    ],
    ready: async () =>
      (await kubectl.run(["get", "--raw", "/readyz"], { allowFailure: true })).stdout === "ok",
    readyTimeoutMs: 120_000,
  });
  await startControllers(lab, authority, server, accounts);
  return { server, admin, authority, kubectl };
}

interface Etcd {
  readonly url: string;
  readonly certificate: Certificate;
}

async function startEtcd(lab: Lab, authority: Authority): Promise<Etcd> {
  const certificate = await authority.sign("etcd", "/CN=etcd", ["IP:127.0.0.1"]);
  const url = `https://127.0.0.1:${await freePort()}`;
  const peers = `http://127.0.0.1:${await freePort()}`;
  const { certFile, keyFile, caFile } = certificate;
  await lab.service({
    name: "etcd",
    command: await etcdProgram(),
    args: (own) => [
      "--name=lab",
      `--data-dir=${join(own, "data")}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peers}`,
      `--initial-advertise-peer-urls=${peers}`,
      `--initial-cluster=lab=${peers}`,
      `--cert-file=${certFile}`,
      `--key-file=${keyFile}`,
      `--trusted-ca-file=${caFile}`,
      "--client-cert-auth",
      // What a test cluster writes need not outlive the machine.
      "--unsafe-no-fsync",
    ],
  });
  return { url, certificate };
}

/** The key that signs the tokens of service accounts. */
async function makeAccountKey(folder: string): Promise<string> {
  const path = join(folder, "sa.key");
  await run("openssl", ["genrsa", "-out", path, "2048"]);
  return path;
}

async function apiServerFlags(
  folder: string,
  authority: Authority,
  { address, serviceNet }: ControlPlaneOptions,
  etcd: Etcd,
): Promise<string[]> {
  const names = [`IP:${address}`, `IP:${serviceNet}.1`, "IP:127.0.0.1", "DNS:kubernetes.default.svc"];
  const serving = await authority.sign("apiserver", "/CN=kube-apiserver", names);
  const client = await authority.sign("apiserver-kubelet-client", "/O=system:masters/CN=kubelet-client");
  const front = await Authority.make(folder, "front-proxy-ca");
  const proxy = await front.sign("front-proxy-client", "/CN=front-proxy-client");
  return [
    `--advertise-address=${address}`,
    `--etcd-servers=${etcd.url}`,
    `--etcd-cafile=${etcd.certificate.caFile}`,
    `--etcd-certfile=${etcd.certificate.certFile}`,
    `--etcd-keyfile=${etcd.certificate.keyFile}`,
    `--client-ca-file=${authority.certFile}`,
    `--tls-cert-file=${serving.certFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    `--kubelet-certificate-authority=${authority.certFile}`,
    `--kubelet-client-certificate=${client.certFile}`,
    `--kubelet-client-key=${client.keyFile}`,
    "--kubelet-preferred-address-types=InternalIP",
    `--requestheader-client-ca-file=${front.certFile}`,
    "--requestheader-allowed-names=front-proxy-client",
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-username-headers=X-Remote-User",
    `--proxy-client-cert-file=${proxy.certFile}`,
    `--proxy-client-key-file=${proxy.keyFile}`,
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
  ];
}

async function startControllers(
  lab: Lab,
  authority: Authority,
  server: string,
  accounts: string,
): Promise<void> {
  const start = async (name: string, more: readonly string[]): Promise<void> => {
    const user = await authority.sign(name, `/CN=system:${name}`);
    const kubeconfig = await writeKubeconfig(server, user);
    await lab.service({
      name,
      command: await kubernetesProgram(`cmd/${name}`, "1.36"),
      args: [
        `--kubeconfig=${kubeconfig}`,
        "--bind-address=127.0.0.1",
        `--secure-port=${await freePort()}`,
        "--leader-elect=false",
        ...more,
      ],
    });
  };
  await start("kube-controller-manager", [
    `--root-ca-file=${authority.certFile}`,
    `--cluster-signing-cert-file=${authority.certFile}`,
    `--cluster-signing-key-file=${authority.keyFile}`,
    `--service-account-private-key-file=${accounts}`,
    "--use-service-account-credentials=true",
  ]);
  await start("kube-scheduler", []);
}

/** A path of the folder that keeps a configuration as JSON, which is YAML. */
export async function writeConfig(folder: string, name: string, config: object): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(config, undefined, 2));
  return path;
}
