import { readFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { ConjurDouble } from '../doubles/conjur.ts';
import { encodings } from '../setup/encodings.ts';
import { queueBackends } from './backends.ts';
import { type Stage, setStage } from './stage.ts';
import { inConjur } from './stageless-kinds.ts';

let stage: Stage | undefined;
let conjur: ConjurDouble | undefined;
afterEach(async () => {
  await stage?.stop();
  await conjur?.stop();
  stage = undefined;
  conjur = undefined;
});

describe.each(queueBackends())(
  'no plaintext secret is anywhere it does not belong, queue on $name',
  ({ url, skipped }) => {
    test.skipIf(skipped)(
      'not in the ledger, the queue, logs, command lines or environments',
      { timeout: 60_000 },
      async () => {
        // A store without stages: what is pending or previous is in the ledger, sealed.
        conjur = await new ConjurDouble('conjur-api-key').declare('shop/app').listen();
        stage = await setStage(url, { store: await inConjur(conjur) });
        const { app, test: ledger, client } = stage;
        const id = await stage.startRotation({ settle: { ...stage.spec.settle, graceMs: 1_500 } });
        // A broken statement on the way: errors must not quote what they carried.
        const killed = await stage.startWorker({ point: 'forward:install:performed', signal: 'SIGKILL' });
        await killed.exited;
        const worker = await stage.startWorker();
        await expect.poll(() => stage?.journal(id), { timeout: 20_000 }).toContain('settle intent');
        const seen = new Map<string, string>();
        for (const what of ['cmdline', 'environ'])
          seen.set(`/proc/${worker.pid}/${what}`, await readFile(`/proc/${worker.pid}/${what}`, 'latin1'));
        seen.set('the queue while a job waits', await dumpQueue(url(ledger.url.reveal())));
        expect((await stage.ended(id)).state).toBe('done');
        seen.set('the ledger', await dumpDatabase(ledger.url.reveal()));
        expect(seen.get('the ledger')).toMatch(/rotor1\.[0-9a-f]{16}\./);
        expect(conjur.value('shop/app')).toContain(client.held().password);
        seen.set('the queue', await dumpQueue(url(ledger.url.reveal())));
        seen.set("the workers' logs", killed.output() + worker.output());

        const secrets = [client.held().password, app.initial.password, 'admin-password', 'conjur-api-key'];
        expect(secrets[0]).toHaveLength(32);
        for (const [where, text] of seen) {
          expect(text.length, where).toBeGreaterThan(0);
          for (const secret of secrets)
            for (const encoded of encodings(secret))
              expect(text.includes(encoded), `${where} holds a secret`).toBe(false);
        }
      },
    );
  },
);

/** Every row of every table, also of BullMQ's. */
async function dumpDatabase(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows: tables } = await client.query(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'`,
  );
  let dump = '';
  for (const { name } of tables) {
    const { rows } = await client.query(`SELECT t::text AS row FROM ${name} AS t`);
    dump += `${name}\n${rows.map(({ row }) => row).join('\n')}\n`;
  }
  await client.end();
  return dump;
}

async function dumpQueue(url: string): Promise<string> {
  if (!url.startsWith('redis')) return dumpDatabase(url);
  const redis = new Redis(url);
  let dump = '';
  for (const key of await redis.keys('*'))
    dump += `${key} ${(await redis.dumpBuffer(key))?.toString('latin1')}\n`;
  redis.disconnect();
  return `${dump}.`;
}
