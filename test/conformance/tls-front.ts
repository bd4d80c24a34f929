import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { run, type Lab, type Registry } from "../docker/lab/index.js";

/**
 * Has a registry answer in TLS on port 443 too. Docker with containerd's store asks for nothing else under a host
 * name without a port; it does not look at the certificate of a registry that its configuration calls insecure.
 */
export async function serveTls(lab: Lab, registry: Registry, folder: string): Promise<void> {
  const [keyFile, certFile] = [join(folder, "tls-key.pem"), join(folder, "tls-cert.pem")];
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", keyFile];
  await run("openssl", ["req", "-x509", ...key, "-out", certFile, "-days", "2", "-subj", "/CN=lab"]);
  const { hostname: host, port } = new URL(registry.url);
  const server = createServer({ key: await readFile(keyFile), cert: await readFile(certFile) }, (socket) => {
    const behind = connect({ host, port: Number(port === "" ? 80 : port) });
    socket.pipe(behind).pipe(socket);
    for (const [one, other] of [
      [socket, behind],
      [behind, socket],
    ] as const) {
      one.on("error", () => other.destroy());
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(443, "127.0.0.1", resolve);
  });
  lab.defer("the registry's TLS", () => {
    server.close();
  });
}
