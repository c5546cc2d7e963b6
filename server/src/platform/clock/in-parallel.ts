/** Works on all, so many at a time; the first failure is thrown when those under way have ended. */
export async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values()
  const worker = async () => {
    for (const item of left) await work(item)
  }
  const ends = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, worker))
  for (const end of ends) if (end.status === "rejected") throw end.reason
}

/** Waits for all that was begun; of several failures the first in this order is thrown, whichever came first. */
export async function allOrFirst<T extends readonly unknown[]>(
  ...begun: T
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const settled = await Promise.allSettled(begun)
  for (const one of settled) if (one.status === "rejected") throw one.reason
  return await Promise.all(begun)
}
