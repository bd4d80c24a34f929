import { createHash, createSign, randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { freePort, run, type Lab } from "./lab/index.js";

const service = "lab";
const issuer = "lab-tokens";

/** A registry that wants bearer tokens, and the server that gives them. */
export interface TokenRegistry {
  /** Host and port of the registry. */
  readonly address: string;
  readonly username: string;
  readonly password: string;
  /** What the token server takes in place of name and password. */
  readonly identityToken: string;
  /** A token for one repository, for clients that bring it themselves. */
  tokenFor(repository: string): string;
}

/** Starts both over what another registry has stored. */
export async function startTokenRegistry(
  lab: Lab,
  storageFolder: string,
  folder: string,
): Promise<TokenRegistry> {
  await mkdir(folder, { recursive: true });
  const key = join(folder, "key.pem");
  const certificate = join(folder, "certificate.pem");
  const subject = ["-days", "2", "-subj", "/CN=lab"];
  await run("openssl", [
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    key,
    "-out",
    certificate,
    ...subject,
  ]);
  const signer = { key: await readFile(key, "utf8"), certificate: await readFile(certificate, "utf8") };
  const login = { username: "joe", password: "right", identityToken: randomBytes(8).toString("hex") };
  const server = createServer((incoming, outgoing) => {
    void answer(incoming, outgoing, signer, login);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  lab.defer("the token server", () => {
    server.close();
    server.closeAllConnections();
  });
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  const address = `127.0.0.1:${await freePort()}`;
  const config = {
    version: 0.1,
    log: { level: "warn" },
    storage: { filesystem: { rootdirectory: storageFolder } },
    http: { addr: address },
    auth: { token: { realm, service, issuer, rootcertbundle: certificate } },
  };
  const configPath = join(folder, "token-registry.json");
  await writeFile(configPath, JSON.stringify(config));
  await lab.service({
    name: "token-registry",
    command: "docker-registry",
    args: ["serve", configPath],
    ready: async () => {
      const response = await fetch(`http://${address}/v2/`).catch(() => undefined);
      return response?.status === 401;
    },
  });
  return { address, ...login, tokenFor: (repository) => sign(signer, repository) };
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  signer: Signer,
  login: { username: string; password: string; identityToken: string },
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const url = new URL(incoming.url ?? "/", "http://token");
  const form = new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
  const basic = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
  const known =
    incoming.headers.authorization === basic ||
    form.get("refresh_token") === login.identityToken ||
    (form.get("username") === login.username && form.get("password") === login.password);
  const scope = form.get("scope") ?? url.searchParams.get("scope") ?? "";
  const repository = /^repository:([^:]+):/.exec(scope)?.[1];
  if (!known || repository === undefined) {
    const errors = [{ code: "UNAUTHORIZED", message: "authentication required" }];
    outgoing.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify({ errors }));
    return;
  }
  const token = sign(signer, repository);
  outgoing.writeHead(200, { "content-type": "application/json" });
  outgoing.end(JSON.stringify({ token, access_token: token, expires_in: 300 }));
}

interface Signer {
  readonly key: string;
  readonly certificate: string;
}

/** A JSON web token, as docker-registry wants it: the certificate stands in its head. */
function sign({ key, certificate }: Signer, repository: string): string {
  const der = certificate.replaceAll(/-----[A-Z ]+-----|\s/g, "");
  const now = Math.floor(Date.now() / 1000);
  const head = { typ: "JWT", alg: "RS256", x5c: [der] };
  const body = {
    iss: issuer,
    aud: service,
    sub: "joe",
    iat: now,
    nbf: now - 10,
    exp: now + 300,
    jti: createHash("sha256").update(randomBytes(8)).digest("hex"),
    access: [{ type: "repository", name: repository, actions: ["pull"] }],
  };
  const text = [head, body].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${text}.${createSign("RSA-SHA256").update(text).sign(key).toString("base64url")}`;
}
