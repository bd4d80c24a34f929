/**
 * Log files: appended to while others rename, read and remove them. Methods throw Node's own errors with
 * their `code`; a disk that is full shows as `ENOSPC` or as an append that took less than it was given.
 */
export interface HostLogFiles {
  /**
   * Opens a file to append to and to read, and makes it and the folders above it (0755) when they are missing.
   * Neither `root` nor anything below it may be a link, also when one is put there meanwhile; the folders above
   * `root` may be links.
   * @param path Absolute, below `root`.
   * @param options.mode The mode of a new file, regardless of the umask.
   * @throws `ELOOP` when a link stands in the way, `ENOTDIR` when a file stands in the place of a folder; `EINVAL`
   *   for what is not a plain file, or is one with further names elsewhere.
   */
  openAppend(path: string, options: { readonly root: string; readonly mode: number }): Promise<LogFile>;
  /** Opens a file likewise, and makes nothing; undefined when it is missing. */
  openExisting(path: string, options: { readonly root: string }): Promise<LogFile | undefined>;
  /**
   * Makes the path a link to `target`, in place of whatever file or link was there, and the folders above it
   * likewise.
   * @throws `ELOOP` when a link stands in the place of a folder; `EISDIR` for a folder in its own place.
   */
  makeLink(target: string, path: string, options: { readonly root: string }): Promise<void>;
  /**
   * Removes a link that stands in the place of a file. What is no link stays, and so does what lies behind a link
   * in the place of `root` or a folder below it.
   */
  removeLink(path: string, options: { readonly root: string }): Promise<void>;
  /** The {@link LogFileStat.identity} of what the path names, links not followed; undefined when it is missing. */
  identityOf(path: string): Promise<string | undefined>;
  /** Changes whenever the path names another file, or the file was written. Links are followed; undefined when it is missing. */
  versionOf(path: string): Promise<string | undefined>;
}

/** An open log file. It stays the same file when it is renamed or removed. */
export interface LogFile {
  /** Writes at the end, wherever that is now. @returns How many bytes were taken; the rest was not written. */
  append(data: Uint8Array): Promise<number>;
  /** Reads from an offset; fewer bytes than asked for at the end of the file. */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
  /** Cuts the file off at a size. */
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
