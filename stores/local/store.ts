import type { Keyring } from '../../core/seal-keyring.ts';
import type { Store } from '../store.ts';
import { LocalSession } from './session.ts';
import { type LocalSpec, localSpec } from './spec.ts';

/** Versions in a folder of this machine, sealed with `keyring`. For one machine, trials, and shared POSIX file systems. */
export function localStore(keyring: Keyring): Store<LocalSpec> {
  return { kind: 'local', spec: localSpec, open: (spec) => new LocalSession(spec, keyring) };
}
