import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Keyring } from '../../core/seal-keyring.ts';
import type { StagelessStore } from '../../stores/stageless.ts';
import type { Store } from '../../stores/store.ts';
import type { Shelf } from '../../workers/stageless/session.ts';
import { staged } from '../../workers/stageless/stores.ts';
import { freshLedger, type TestLedger } from '../setup/ledger.ts';

let started: Promise<TestLedger> | undefined;
const keyring = Keyring.generate();

/** Where stores without stages keep theirs: one ledger for all homes of this process, told apart by their addresses. */
export async function aShelf(): Promise<Shelf & TestLedger> {
  started ??= freshLedger();
  return { ...(await started), keyring };
}

export async function stopShelf(): Promise<void> {
  const ledger = started;
  started = undefined;
  await (await ledger)?.drop();
}

/** Every row that the ledger has about such stores. */
export async function onShelf(): Promise<readonly Buffer[]> {
  const { ledger } = await aShelf();
  const rows = await ledger.query<{ row: string }>(
    'SELECT p::text AS row FROM rotor.stageless_paths p UNION ALL SELECT v::text FROM rotor.stageless_versions v',
  );
  return rows.map(({ row }) => Buffer.from(row));
}

export async function stagedHere<Spec>(store: StagelessStore<Spec>): Promise<Store> {
  return staged(store as StagelessStore, await aShelf());
}

/** A file with a secret in it. */
export async function secretFile(text: string): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'rotor-stageless-')), 'secret');
  await writeFile(file, `${text}\n`, { mode: 0o600 });
  return file;
}
