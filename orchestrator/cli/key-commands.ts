import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { readConfig } from '../../core/config.ts';
import { silentLog } from '../../core/log.ts';
import { cryptoRandom } from '../../core/random.ts';
import { Deadline } from '../../core/retry.ts';
import { activateLastKey, addKey, createKeyFile, loadKeyring } from '../../core/seal-key-file.ts';
import type { Keyring } from '../../core/seal-keyring.ts';
import type { SecretValue } from '../../core/secret.ts';
import { type Format, print } from './output.ts';

/** Quick, since only the wrapped data keys change; may be repeated should a huge store take longer. */
const REWRAP_MS = 3_600_000;
const format = (command: Command): Format => command.optsWithGlobals().output as Format;

/** `key`: makes the key file and replaces the key in it. Works on files of this machine, without a server. */
export function registerKeyCommands(program: Command): void {
  const key = program
    .command('key')
    .description('The key file that seals the local store (docs/stores.md, "Replacing the key")');
  key
    .command('create <file>')
    .description('Make a key file, mode 0600; an existing one is never overwritten')
    .action(async (file: string) => {
      await createKeyFile(file);
      process.stdout.write(`key file ${file} is made; keep a copy away from this machine\n`);
    });
  withKeyFile(key.command('add'))
    .description('Step 1 of replacing the key: add a fresh key that only opens')
    .action(async (flags, command) => {
      const file = keyFileOf(flags);
      const keyIds = await addKey(file);
      print(format(command), { file, keyIds }, () =>
        [
          `key ${keyIds.at(-1)} is added to ${file}`,
          'next: bring the file to every machine and restart every process, then: rotor key activate',
        ].join('\n'),
      );
    });
  withKeyFile(key.command('activate'))
    .description('Step 2: seal with the key that was added last')
    .action(async (flags, command) => {
      const file = keyFileOf(flags);
      const keyIds = await activateLastKey(file);
      print(format(command), { file, keyIds }, () =>
        [
          `key ${keyIds[0]} seals from now on in ${file}`,
          'next: bring the file to every machine and restart every process, then: rotor key rewrap STORE',
        ].join('\n'),
      );
    });
  withKeyFile(key.command('rewrap'))
    .argument('[store]', 'folder of the local store; ROTOR_HOME/store when absent')
    .description('Step 3: wrap everything that is stored with the first key; may be interrupted and repeated')
    .action(async (store: string | undefined, flags, command) => {
      const keyring = await loadKeyring(keyFileOf(flags));
      const config = readConfig(process.env, flags);
      const path = store ?? join(config.home, 'store');
      const { rewrapLocalStore } = await import('../../stores/local/rewrap.ts');
      const call = {
        deadline: Deadline.after(REWRAP_MS, systemClock),
        fence: 0n,
        clock: systemClock,
        random: cryptoRandom,
        log: silentLog,
      };
      try {
        // Who keeps versions elsewhere only may have no such folder.
        const none = store === undefined && !existsSync(path);
        const found = none ? { rewrapped: 0, unchanged: 0 } : await rewrapLocalStore(call, { path }, keyring);
        const inLedger = config.databaseUrl && (await rewrapLedger(config.databaseUrl, keyring));
        const ledger = ledgerWas(inLedger, config.home);
        print(
          format(command),
          { path, ...found, ledger, ...(inLedger === undefined ? {} : { inLedger }) },
          () =>
            [
              `${found.rewrapped} files of ${path} rewrapped, ${found.unchanged} had the key already`,
              ...(inLedger === undefined ? [] : [`${inLedger} versions in the ledger rewrapped`]),
              ...nextAfter(ledger, keyring.activeKeyId),
            ].join('\n'),
        );
      } finally {
        keyring.destroy();
      }
    });
}

/** What became of the versions in the ledger. `at start`: Rotor rewraps those in a database of its own when it starts. */
type LedgerWas = 'rewrapped' | 'at start' | 'not looked at';

/** That no database is named in this shell doesn't tell that the processes have none. */
function ledgerWas(inLedger: number | undefined, home: string): LedgerWas {
  if (inLedger !== undefined) return 'rewrapped';
  return existsSync(join(home, 'postgres', 'data')) ? 'at start' : 'not looked at';
}

function nextAfter(ledger: LedgerWas, activeKeyId: string): readonly string[] {
  const remove = `make a backup, then remove the lines of the older keys; key ${activeKeyId} must stay`;
  if (ledger === 'rewrapped') return [`next: ${remove}`];
  if (ledger === 'at start')
    return [
      `next: restart Rotor if it has run since before the key was activated, which rewraps its database; ${remove}`,
    ];
  return [
    'the ledger was not looked at: ROTOR_DATABASE_URL is not set here, and versions in it may need the older keys',
    'next: set ROTOR_DATABASE_URL (or ROTOR_DATABASE_URL_FILE) and run this again; remove no key before',
  ];
}

/** Versions of stores without stages. In embedded mode Rotor does it when it starts. */
async function rewrapLedger(url: SecretValue, keyring: Keyring): Promise<number> {
  const { openLedger } = await import('../../ledger/database.ts');
  const { assertSchema } = await import('../../ledger/schema.ts');
  const { rewrapStageless } = await import('../../workers/stageless/rewrap.ts');
  const ledger = openLedger({ url, log: silentLog, connections: 1 });
  try {
    await assertSchema(ledger);
    return await rewrapStageless({ ledger, keyring });
  } finally {
    await ledger.close();
  }
}

function withKeyFile(command: Command): Command {
  return command.option('--key-file <file>', 'the key file; ROTOR_KEY_FILE or ROTOR_HOME/key when absent');
}

function keyFileOf(flags: { keyFile?: string }): string {
  const config = readConfig(process.env, flags);
  return config.keyFile ?? join(config.home, 'key');
}
