import { type StoreDependencies, stagelessStores, stores } from '../../stores/registry.ts';
import type { StagelessStore } from '../../stores/stageless.ts';
import type { Store } from '../../stores/store.ts';
import { MAX_BYTES, type Shelf, StagedByLedger } from './session.ts';

/** Every store there is, each with stages: its own, or those that the ledger keeps for it. The only way to get at the latter. */
export function allStores(shelf: Shelf & StoreDependencies): readonly Store[] {
  return [...stores(shelf), ...stagelessStores.map((store) => staged(store, shelf))];
}

/** The store with stages that the ledger keeps. */
export function staged({ kind, spec, limits, renews, ...store }: StagelessStore, shelf: Shelf): Store {
  const maxBytes = Math.min(limits?.maxBytes ?? MAX_BYTES, MAX_BYTES);
  return {
    kind,
    spec,
    ...(renews ? { renews } : {}),
    limits: { ...limits, maxBytes },
    open: (parsed) => {
      const home = `${kind} ${store.home(parsed)}`;
      const place = (path: string) => store.place?.(parsed, path) ?? path;
      return new StagedByLedger(store.openStageless(parsed), { home, place }, maxBytes, shelf);
    },
  };
}
