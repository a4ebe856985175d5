import type { Call } from '../../core/call.ts';
import type { SecretValue } from '../../core/secret.ts';
import type { Loan } from '../../rotators/function/secret-desk.ts';
import type { StoreSession } from '../../stores/store.ts';

export type Label = 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS';

/** The one secret of an invocation. */
export interface Versions {
  /** Labels by version. */
  labels(): Promise<ReadonlyMap<string, readonly Label[]>>;
  /** undefined when there is none, or nothing is put for it yet. */
  read(versionId: string): Promise<SecretValue | undefined>;
  put(versionId: string, document: SecretValue): Promise<void>;
  moveCurrent(to: string, from: string | undefined): Promise<void>;
}

/** Versions as the store has them, and the one that the invocation is about as AWSPENDING, as AWS shows it from the start. */
export function storedVersions(store: StoreSession, path: string, call: Call, { token }: Loan): Versions {
  return {
    async labels() {
      const found = new Map<string, Label[]>();
      for (const { versionId, stages } of await store.list(call, path)) {
        const labels: Label[] = [];
        if (stages.includes('current')) labels.push('AWSCURRENT');
        if (stages.includes('previous')) labels.push('AWSPREVIOUS');
        if (labels.length > 0) found.set(versionId, labels);
      }
      const own = found.get(token) ?? [];
      if (!own.includes('AWSCURRENT')) found.set(token, [...own, 'AWSPENDING']);
      return found;
    },
    read: async (versionId) => (await store.read(call, path, { versionId }))?.document,
    put: (versionId, document) => store.stage(call, path, versionId, document),
    moveCurrent: (to, from) => store.promote(call, path, to, from),
  };
}

/** Versions that the rotation shows, with the store's AWSPREVIOUS behind them. Nothing that is put reaches the store. */
export function shownVersions(
  store: StoreSession,
  path: string,
  call: Call,
  { token, shown }: Loan & { readonly shown: NonNullable<Loan['shown']> },
): Versions {
  const put = new Map<string, SecretValue>();
  const { current, pending } = shown;
  const previous = async () => {
    const found = await store.read(call, path, 'previous');
    return found && found.versionId !== token && found.versionId !== current.versionId ? found : undefined;
  };
  return {
    async labels() {
      const found = new Map<string, Label[]>([[current.versionId, ['AWSCURRENT']]]);
      found.set(token, [...(found.get(token) ?? []), 'AWSPENDING']);
      const before = await previous();
      if (before) found.set(before.versionId, ['AWSPREVIOUS']);
      return found;
    },
    async read(versionId) {
      if (versionId === token) return put.get(token) ?? pending?.document;
      if (versionId === current.versionId) return current.document;
      const before = await previous();
      return before?.versionId === versionId ? before.document : undefined;
    },
    put: async (versionId, document) => {
      put.set(versionId, document);
    },
    moveCurrent: () => Promise.reject(new Error('no label is moved where nothing is stored')),
  };
}
