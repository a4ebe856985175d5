import { randomUUID } from 'node:crypto';
import { silentLog } from '../../core/log.ts';
import { SecretValue } from '../../core/secret.ts';
import { type Ledger, migrateLedger, openLedger } from '../../ledger/database.ts';
import { applyPolicy } from '../../ledger/policies.ts';
import { createRotation } from '../../ledger/rotations.ts';
import { freshDatabase, LEDGER_TEMPLATE } from './postgres.ts';

export interface TestLedger {
  readonly ledger: Ledger;
  readonly url: SecretValue;
  drop(): Promise<void>;
}

/** A migrated ledger in a database of its own. */
export async function freshLedger(server?: string): Promise<TestLedger> {
  const database = await freshDatabase(server, server === undefined ? LEDGER_TEMPLATE : undefined);
  const url = SecretValue.of(database.url);
  if (server !== undefined) await migrateLedger(url, silentLog);
  const ledger = openLedger({ url, log: silentLog });
  const drop = async () => {
    await ledger.close();
    await database.drop();
  };
  return { ledger, url, drop };
}

/** A policy and a queued rotation of it. */
export async function queuedRotation(
  ledger: Ledger,
  spec: object = {},
  extra: { readonly deadlineMs?: number; readonly provider?: string } = {},
): Promise<{ id: string; policyUid: string }> {
  const { uid } = await applyPolicy(ledger, {
    uid: randomUUID(),
    namespace: 'test',
    name: `p-${randomUUID()}`,
    spec: {},
  });
  const id = randomUUID();
  const { deadlineMs = 600_000, provider } = extra;
  await createRotation(ledger, {
    id,
    policyUid: uid,
    trigger: 'manual',
    requestedBy: 'test',
    spec,
    deadlineMs,
    provider,
  });
  return { id, policyUid: uid };
}
