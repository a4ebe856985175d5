import type { Clock } from '../../core/clock.ts';
import { RotorError } from '../../core/errors.ts';
import { httpRequest } from '../../core/http.ts';
import { Deadline } from '../../core/retry.ts';
import type { SecretValue } from '../../core/secret.ts';
import { secretIn } from '../../core/secret-file.ts';
import type { SecretReference, Surroundings } from './source.ts';

const FETCH_MS = 3_000;
/** Public keys live for months; a stranger must not make us fetch them for every forgery. */
const KEPT_MS = 300_000;
const MAX_KEPT = 100;

/** Keys and certificates are fetched once in a while, secrets are read from their files each time. */
export function hookSurroundings(clock: Clock): () => Surroundings {
  const kept = new Map<string, { readonly text: Promise<string>; readonly until: number }>();
  const fetchText = (url: string): Promise<string> => {
    const known = kept.get(url);
    if (known && known.until > clock.monotonicMs()) return known.text;
    const text = get(url, clock);
    if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value ?? '');
    kept.set(url, { text, until: clock.monotonicMs() + KEPT_MS });
    text.catch(() => kept.delete(url));
    return text;
  };
  return () => ({ now: clock.now(), fetchText, secrets: readSecrets });
}

async function get(url: string, clock: Clock): Promise<string> {
  const { status, body } = await httpRequest(Deadline.after(FETCH_MS, clock), { url });
  if (status === 200) return body;
  throw new RotorError('provider.unreachable', {
    what: `${new URL(url).host} answers ${status} to a request for its public keys`,
  });
}

/** @throws RotorError `reference.unresolved` */
export async function readSecrets(references: readonly SecretReference[]): Promise<readonly SecretValue[]> {
  return Promise.all(references.map(({ file }) => secretIn(file, 'secretsFrom')));
}
