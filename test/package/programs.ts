/** Makes a shim in memory with a running container, for the programs that take a shim. */
const prepare = `
const { createTestShim } = await import("docker-cri/testing");
const { createClients } = await import("docker-cri/client");
const cat = async ({ stdin, stdout }) => {
  for await (const chunk of stdin) await stdout.write(chunk);
  return 3;
};
const today = async ({ stdout }) => stdout.write("today\\n");
const server = ({ sleep }) => sleep(Infinity);
const programs = { "/bin/sh": cat, "/bin/date": today, "/bin/server": server };
const test = await createTestShim({ images: [{ name: "app:1", programs }] });
const clients = createClients(test.shim.inProcessTransport());
const pod = { metadata: { name: "web", namespace: "default", uid: "1", attempt: 0 }, linux: {} };
const { podSandboxId } = await clients.runtime.runPodSandbox({ config: pod });
const image = { image: "app:1" };
await clients.images.pullImage({ image });
const config = { metadata: { name: "app", attempt: 0 }, image, command: ["server"] };
const { containerId } = await clients.runtime.createContainer({ podSandboxId, config, sandboxConfig: pod });
await clients.runtime.startContainer({ containerId });
`;

interface Run {
  /** Text that only this program contains. */
  readonly of: string;
  /** Replaces Docker and the paths of a node. */
  readonly replace?: readonly (readonly [string, string])[];
  /** Calls what the program defines. */
  readonly append?: string;
  readonly prints: RegExp;
}

const memory = '{ kind: "memory", images: ["mirror.example/app:1"] }';

/** The programs of README and of the library guide. */
const runs: readonly Run[] = [
  {
    of: "serveUnixSocket",
    replace: [
      ['{ kind: "docker", endpoint: "unix:///var/run/docker.sock" }', memory],
      ["/run/docker-cri.sock", "./cri.sock"],
    ],
    prints: /^0 unix:\/\/\S*cri\.sock\n$/,
  },
  { of: "engine.faults", prints: /^\d+ \S+\n$/ },
  {
    of: "class MirrorPull",
    replace: [["createShim({", `createShim({ engine: ${memory},`]],
    append: `
const { createClients } = await import("docker-cri/client");
await shim.start();
const { images } = createClients(shim.inProcessTransport());
await images.pullImage({ image: { image: "docker.io/app:1" } });
console.log((await images.listImages({})).images.flatMap(({ repoTags }) => repoTags).join());
await shim.close();`,
    prints: /(?:^|,)mirror\.example\/app:1\n$/,
  },
  { of: "registry.behave", prints: /^OOMKilled \S+ stdout F hello\n\n$/ },
  {
    of: "watchUsage",
    append: `${prepare}
await watchUsage(test.shim, AbortSignal.timeout(2_000)).catch(({ name }) => console.log(name));
await test.shim.close();`,
    prints: /^web /,
  },
  {
    of: "async function echo",
    append: `${prepare}
await echo(test.shim, containerId);
await connectTo(test.shim, podSandboxId).catch(({ message }) => console.log(message.includes("8080")));
await test.shim.close();`,
    prints: /^hello\n3\ntrue\n$/,
  },
  {
    of: "mountStreaming",
    append: `${prepare}
const { createServer } = await import("node:http");
const http = createServer();
mountStreaming(test.shim, http);
const { url } = await clients.runtime.exec({ containerId, cmd: ["date"], stdout: true });
console.log(url, http.listenerCount("upgrade"));
await test.shim.close();`,
    prints: /^http:\/\/127\.0\.0\.1:10350\/cri\/\S+ 1\n$/,
  },
  {
    of: "async function lastLines",
    append: `
const { writeFile } = await import("node:fs/promises");
await writeFile("app.log", "2026-01-31T12:00:00.000000000Z stdout F hello\\n");
await lastLines("app.log");`,
    prints: /^stdout hello\n$/,
  },
  {
    of: "async function date",
    append: `${prepare}
const remote = await date(clients, containerId);
remote.stdout.pipe(process.stdout);
console.log(await remote.exitCode);
await test.shim.close();`,
    prints: /^(?:today\n0|0\ntoday)\n$/,
  },
];

/**
 * What to run for a program of the docs, given as JavaScript, and what it must print.
 * @throws Error for a program that has no entry here.
 */
export function runnable(program: string): { readonly text: string; readonly prints: RegExp } {
  const run = runs.find(({ of }) => program.includes(of));
  if (!run) throw new Error(`nothing here runs this program of the docs:\n${program}`);
  let text = program;
  for (const [from, to] of run.replace ?? []) text = text.replace(from, to);
  return { text: `${text}\n${run.append ?? ""}`, prints: run.prints };
}
