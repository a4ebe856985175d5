import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Command, Option } from 'commander';
import { type Config, readConfig } from '../../core/config.ts';
import { asRotorError, RotorError } from '../../core/errors.ts';
import { loadKeyring } from '../../core/seal-key-file.ts';
import type { Verdict } from '../../ledger/audit.ts';
import { ROLES } from '../../ledger/tokens.ts';
import { apiClient } from './client.ts';
import type { TokenFlags } from './direct.ts';
import { type Format, print } from './output.ts';

const format = (command: Command): Format => command.optsWithGlobals().output as Format;

export function registerTrustCommands(program: Command): void {
  const audit = program.command('audit').description('The audit trail: a hash chain');
  audit
    .command('verify')
    .description('Name the first row that was changed, removed or put elsewhere. Exit 1 if there is one')
    .option('--direct', 'read ROTOR_DATABASE_URL, without a server')
    .action(async ({ direct }: { direct?: boolean }, command) => {
      const config = readConfig(process.env);
      const verdict = direct
        ? await verifiedDirectly(config)
        : await apiClient(config).get<Verdict>('/v1/audit/verify');
      print(format(command), verdict, () =>
        verdict.verified ? `verified: ${verdict.rows} rows` : `BROKEN: ${verdict.broken}`,
      );
      if (!verdict.verified) throw new RotorError('audit.broken', { what: verdict.broken });
    });
  audit
    .command('export')
    .description('Print the trail as JSON lines, or the evidence of one incident')
    .option('--direct', 'read ROTOR_DATABASE_URL, without a server')
    .option('--incident <id>', 'everything about this incident, as JSON')
    .option('--html', 'with --incident: as a page for people')
    .action(async ({ direct, incident, html }: ExportOptions) => {
      const config = readConfig(process.env);
      if (incident !== undefined) {
        const path = `/v1/incidents/${encodeURIComponent(incident.replace(/^incident\//, ''))}/evidence`;
        return void process.stdout.write(
          `${await apiClient(config).text(`${path}?format=${html ? 'html' : 'json'}`)}\n`,
        );
      }
      if (!direct) return void process.stdout.write(await apiClient(config).text('/v1/audit/export'));
      const { sealedEvents } = await import('../../ledger/audit.ts');
      const { withLedger } = await import('./direct.ts');
      return withLedger(config, async (ledger) => {
        for await (const { previousHash, hash, seq, ...row } of sealedEvents(ledger)) {
          const line = {
            seq: String(seq),
            ...row,
            previousHash: previousHash.toString('hex'),
            hash: hash.toString('hex'),
          };
          process.stdout.write(`${JSON.stringify(line)}\n`);
        }
      });
    });

  program
    .command('fingerprint')
    .description(
      'Which credential versions ever had a secret; the value is read from standard input, never from an argument',
    )
    .requiredOption('--secret-stdin', 'read the secret from standard input')
    .action(async (_options, command) => {
      const secret = (await text(process.stdin)).replace(/\r?\n$/, '');
      const found = await apiClient().post<{
        fingerprint: string;
        versions: { id: string; state: string; identity: string }[];
      }>('/v1/fingerprint', { secret });
      const lines = found.versions.map(({ id, state, identity }) => `${id} ${identity} ${state}`);
      print(format(command), found, () =>
        lines.length === 0 ? 'no version ever had this secret' : lines.join('\n'),
      );
    });

  const token = program.command('token').description('API tokens');
  token
    .command('create <name>')
    .description('Make a token and print it, once')
    .addOption(new Option('--role <role>', 'what it may do').choices([...ROLES]).default('viewer'))
    .option('--owner <person>', 'who holds it: tokens of one person count as one where people approve')
    .option('--expires-in <duration>', 'for example 90d')
    .option('--direct', 'write to ROTOR_DATABASE_URL, without a server: how the first one is made')
    .action(async (name: string, flags: TokenFlags, command) => {
      const { role, owner, expiresIn } = flags;
      if (flags.direct) {
        const { firstToken } = await import('./direct.ts');
        const made = await firstToken(name, flags);
        return print(format(command), { token: made.reveal() }, () => made.reveal());
      }
      const made = await apiClient().post<{ token: string }>('/v1/tokens', {
        name,
        role,
        ...(owner ? { owner } : {}),
        ...(expiresIn ? { expiresIn } : {}),
      });
      print(format(command), made, () => made.token);
    });
  token
    .command('revoke <name>')
    .description('Refuse a token from now on')
    .action(async (name: string) => {
      await apiClient().delete(`/v1/tokens/${encodeURIComponent(name)}`);
      process.stdout.write(`token ${name} is revoked\n`);
    });

  program
    .command('doctor')
    .description('Check configuration, key file, ledger and server, and say what to do about each')
    .action(doctor);
}

async function verifiedDirectly(config: Config): Promise<Verdict> {
  const { verifyTrail } = await import('../operations/audit.ts');
  const { withLedger } = await import('./direct.ts');
  return withLedger(config, (ledger) => verifyTrail(ledger, join(config.home, 'audit-anchors')));
}

interface ExportOptions {
  readonly direct?: boolean;
  readonly incident?: string;
  readonly html?: boolean;
}

async function doctor(): Promise<void> {
  let failed = false;
  const check = async (name: string, work: () => Promise<string>) => {
    try {
      process.stdout.write(`ok      ${name}: ${await work()}\n`);
    } catch (thrown) {
      const { code, message, hint } = asRotorError(thrown, name);
      failed = true;
      process.stdout.write(`failed  ${name}: ${code}: ${message}\n        next: ${hint}\n`);
    }
  };
  let config: Config | undefined;
  await check('configuration', async () => {
    config = readConfig(process.env);
    return `mode ${config.mode}`;
  });
  if (config) {
    const known = config;
    const keyFile = known.keyFile ?? join(known.home, 'key');
    if (known.keyFile || existsSync(keyFile))
      await check('key file', async () => `${(await loadKeyring(keyFile)).keyIds.length} keys in ${keyFile}`);
    if (known.databaseUrl) {
      const { withLedger } = await import('./direct.ts');
      await check('ledger', () =>
        withLedger(known, async (ledger) => {
          const [row] = await ledger.query<{ skew: number }>(
            'SELECT extract(epoch FROM clock_timestamp() - $1::timestamptz)::float8 AS skew',
            [new Date()],
          );
          return `reachable, its clock differs from ours by ${Math.abs(row?.skew ?? 0).toFixed(1)} s`;
        }),
      );
    }
    await check('server', async () => {
      const api = apiClient(known);
      const { policies } = await api.get<{ policies: unknown[] }>('/v1/policies');
      return `answers at ${api.url}, ${policies.length} policies`;
    });
  }
  if (failed) process.exitCode = 1;
}
