/** Waits for all promises, also when one rejects. @throws The error of the first rejected one in the list. */
export async function settleAll(work: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(work);
  await Promise.all(work);
}
