/** The result of an exec or attach. */
export type ProcessResult =
  | { readonly exitCode: number }
  /** It could not be run, or its exit code is unknown. */
  | { readonly failure: string };

interface Status {
  readonly status?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

const exitCodeReason = "NonZeroExitCode";
const exitCodeCause = "ExitCode";

/**
 * The metav1.Status that kubectl reads from the error stream.
 * @see Kubernetes API conventions, "Response Status Kind"
 */
export function encodeStatus(result: ProcessResult): string {
  if ("failure" in result) {
    const message = `Internal error occurred: ${result.failure}`;
    const details = { causes: [{ message: result.failure }] };
    return JSON.stringify({
      metadata: {},
      status: "Failure",
      message,
      reason: "InternalError",
      details,
      code: 500,
    });
  }
  if (result.exitCode === 0) return JSON.stringify({ metadata: {}, status: "Success" });
  return JSON.stringify({
    metadata: {},
    status: "Failure",
    message: plainStatus(result),
    reason: exitCodeReason,
    details: { causes: [{ reason: exitCodeCause, message: String(result.exitCode) }] },
  });
}

/** The content of the error stream in protocols before v4: a text, or nothing for a success. */
export function plainStatus(result: ProcessResult): string {
  if ("failure" in result) return result.failure;
  return result.exitCode === 0 ? "" : `command terminated with non-zero exit code: ${result.exitCode}`;
}

/** Parses the content of an error stream, in either form. */
export function decodeStatus(text: string): ProcessResult {
  if (text === "") return { exitCode: 0 };
  const status = parse(text);
  if (status === undefined) return { failure: text };
  if (status.status === "Success") return { exitCode: 0 };
  const code = status.details?.causes?.find(({ reason }) => reason === exitCodeCause)?.message;
  if (status.reason === exitCodeReason && code !== undefined && /^\d{1,9}$/.test(code))
    return { exitCode: Number(code) };
  return { failure: status.message ?? text };
}

function parse(text: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
