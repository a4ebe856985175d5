import { loadKeyring } from '../../core/seal-key-file.ts';
import type { Keyring } from '../../core/seal-keyring.ts';
import { SecretValue } from '../../core/secret.ts';
import { localStore } from '../../stores/local/store.ts';
import { callWith } from './stores-calls.ts';

/**
 * A worker to be killed: stages and promotes one version after the other, and says so before and after.
 * Arguments: folder of the store, key file, `loop` or the version to promote over `start`.
 */
const [folder = '', keyFile = '', what = ''] = process.argv.slice(2);
const keyring: Keyring = await loadKeyring(keyFile);
const store = localStore(keyring);
const session = store.open(store.spec.parse({ path: folder, keepVersions: 2 }));
const say = (text: string) => process.stdout.write(`${text}\n`);
const path = 'shop/app';

if (what === 'loop') {
  let current = (await session.read(callWith(1n), path, 'current'))?.versionId;
  for (;;) {
    const next: string = crypto.randomUUID();
    say(`begin ${next}`);
    await session.stage(callWith(1n), path, next, SecretValue.of(`document of ${next}`));
    await session.promote(callWith(1n), path, next, current);
    if (current) await session.discard(callWith(1n), path, current);
    say(`done ${next}`);
    current = next;
  }
}
say('ready');
process.stdin.once('data', async () => {
  const outcome = await session.promote(callWith(1n), path, what, 'start').then(
    () => 'won',
    (error: { code?: string }) => error.code,
  );
  say(String(outcome));
  process.exit(0);
});
