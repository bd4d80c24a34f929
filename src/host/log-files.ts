/**
 * Log files, which other programs rename, read and remove at the same time. Methods throw Node's own errors with
 * their `code`; on a full disk they throw `ENOSPC`, or an append writes only a part.
 */
export interface HostLogFiles {
  /**
   * Opens a file for appending and reading, and creates it and its parent folders (0755) when they are missing.
   * Neither `root` nor anything below it may be a link, also when one is created at the same time; the folders above
   * `root` may be links.
   * @param path Absolute, below `root`.
   * @param options.mode The mode of a new file, regardless of the umask.
   * @throws `ELOOP` for a link in the path, `ENOTDIR` for a file in place of a folder; `EINVAL` for anything but a
   *   regular file, and for one with other hard links.
   */
  openAppend(path: string, options: { readonly root: string; readonly mode: number }): Promise<LogFile>;
  /** Opens an existing file in the same way; undefined when it is missing. */
  openExisting(path: string, options: { readonly root: string }): Promise<LogFile | undefined>;
  /**
   * Makes the path a link to `target`, replacing a file or link, and creates its parent folders.
   * @throws `ELOOP` for a link in place of a parent folder; `EISDIR` for a folder at the path.
   */
  makeLink(target: string, path: string, options: { readonly root: string }): Promise<void>;
  /**
   * Removes the link at a path. Anything but a link stays, and so does everything behind a link in place of `root` or a
   * folder below it.
   */
  removeLink(path: string, options: { readonly root: string }): Promise<void>;
  /** The {@link LogFileStat.identity} of the file at the path, links not followed; undefined when it is missing. */
  identityOf(path: string): Promise<string | undefined>;
  /** A value that changes when the file is replaced or written. Links are followed; undefined when it is missing. */
  versionOf(path: string): Promise<string | undefined>;
}

/** An open log file. It stays the same file when it is renamed or removed. */
export interface LogFile {
  /** Appends to the file. @returns How many bytes were written, which may be fewer. */
  append(data: Uint8Array): Promise<number>;
  /** Reads from an offset; fewer bytes than asked for at the end of the file. */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
  /** Truncates the file. */
  truncate(sizeBytes: number): Promise<void>;
  stat(): Promise<LogFileStat>;
  /** Idempotent. */
  close(): Promise<void>;
}

export interface LogFileStat {
  readonly sizeBytes: number;
  /** Differs between any two files that exist at the same time. */
  readonly identity: string;
  /** False once its last name is removed, so that it cannot be opened again. */
  readonly linked: boolean;
}
