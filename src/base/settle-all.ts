/** Waits for all promises, also when one rejects. @throws What the first of them that rejected did. */
export async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(work);
  await Promise.all(work);
}
