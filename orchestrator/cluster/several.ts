/**
 * Does `work` for each item, `width` at once. The first failure is thrown when what had begun has ended; nothing is begun
 * after it.
 */
export async function several<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  let failure: { readonly thrown: unknown } | undefined;
  const lane = async () => {
    for (const item of rest) {
      if (failure) return;
      try {
        await work(item);
      } catch (thrown) {
        failure ??= { thrown };
      }
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  if (failure) throw failure.thrown;
}
