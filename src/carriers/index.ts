export * from "./protocols.js";
export { decodeStatus, encodeStatus, plainStatus, type ProcessResult } from "./status.js";
export { encodeSize, terminalSizes, type TerminalSize } from "./terminal-size.js";
export { SpdyConnection, type SpdyOptions } from "./spdy/connection.js";
export type { SpdyStream } from "./spdy/stream.js";
export { WebSocketChannels, type ChannelOptions } from "./websocket/channels.js";
export type { ProcessIo, PutOutput } from "./process-io.js";
export { remoteProcess, type RemoteProcess } from "./remote-process.js";
