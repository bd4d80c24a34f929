import { messageOf, onAbort, type Logger } from "../../base/index.js";
import { terminalSizes, type ProcessIo, type ProcessResult } from "../../carriers/index.js";

/** The client of an exec or attach, over SPDY or a WebSocket. */
export interface ProcessClient {
  /** Aborts when the client has disconnected. */
  readonly gone: AbortSignal;
  /** Absent if the client wants none. */
  readonly stdin: AsyncIterable<Uint8Array> | undefined;
  readonly resizes: AsyncIterable<Uint8Array> | undefined;
  /** Resolves when more may be written. Rejects once the client has disconnected. */
  write(stream: "stdout" | "stderr", data: Uint8Array): Promise<void>;
  /** Ends the outputs, then sends the status, and closes the session. */
  finish(result: ProcessResult): Promise<void>;
}

/**
 * Copies between a client and a process until one of them ends. All output is sent before the status, and all input
 * is written before stdin is closed.
 * @param arriving The client, once it has opened its streams. Meanwhile the process is being opened.
 */
export async function serveProcess(
  arriving: Promise<ProcessClient>,
  opening: Promise<ProcessIo>,
  log: Logger,
): Promise<void> {
  // It may fail before the client is there.
  opening.catch(() => undefined);
  let client: ProcessClient;
  try {
    client = await arriving;
  } catch (error) {
    log.info({ err: messageOf(error) }, "closed the session of a streaming client");
    await opening.then(
      (io) => io.abandon(),
      () => undefined,
    );
    return;
  }
  let io: ProcessIo;
  try {
    io = await opening;
  } catch (error) {
    log.info({ err: messageOf(error) }, "could not open a streaming session");
    await client.finish({ failure: messageOf(error) });
    return;
  }
  const unlisten = onAbort(client.gone, () => void io.abandon());
  if (client.stdin) void pumpInput(client.stdin, io);
  if (client.resizes) void pumpSizes(client.resizes, io);
  let result: ProcessResult;
  try {
    await io.readOutput((stream, data) => client.write(stream, data));
    result = await io.result();
  } catch (error) {
    await io.abandon();
    result = { failure: messageOf(error) };
  } finally {
    unlisten();
  }
  if (client.gone.aborted) await io.abandon();
  else await client.finish(result);
}

async function pumpInput(stdin: AsyncIterable<Uint8Array>, io: ProcessIo): Promise<void> {
  try {
    for await (const data of stdin) await io.write(data);
    io.endInput();
  } catch {
    // The process has closed its stdin, and further input is dropped; or the client has disconnected.
  }
}

async function pumpSizes(resizes: AsyncIterable<Uint8Array>, io: ProcessIo): Promise<void> {
  try {
    for await (const size of terminalSizes(resizes)) io.resize(size);
  } catch {
    // The client has disconnected, which ends the session.
  }
}
