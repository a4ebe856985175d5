import { expect, test } from 'vitest';
import { SETTINGS, type Setting } from '../../core/config-settings.ts';
import { ERROR_CODES } from '../../core/error-codes.ts';

// When one of these fails because the table in the code was changed: vitest run test/docs/tables.test.ts -u

const MARK = '<!-- Written by test/docs/tables.test.ts from the table in the code; change it there. -->';

test('docs/errors.md lists every error code as the code has it', async () => {
  const rows = Object.entries(ERROR_CODES).map(([code, [kind, hint]]) => row([`\`${code}\``, kind, hint]));
  const page = `# Errors

${MARK}

Every error has a stable code, says what happened to which object, and what to do next. The kind tells how a
rotation answers: *retryable*: nothing happened, it tries again later; *terminal*: nothing happened, and trying again
won't help; *ambiguous*: it may have happened, so it looks before it does anything else. Where a call knows better
than its code, it says so.

| code | kind | what to do next |
|---|---|---|
${rows.join('\n')}
`;
  await expect(page).toMatchFileSnapshot('../../docs/errors.md');
});

test('docs/configuration.md lists every setting as the code has it', async () => {
  const settings: readonly Setting[] = Object.values(SETTINGS);
  const rows = settings.map((setting) =>
    row([
      `\`${setting.variable}\``,
      setting.flag ? `\`--${setting.flag}\`` : '',
      setting.default === undefined ? '' : `\`${setting.default}\``,
      setting.meaning,
    ]),
  );
  const secret = settings.filter((each) => each.secret).map(({ variable }) => `\`${variable}_FILE\``);
  const page = `# Configuration

${MARK}

Settings come from the environment, and an option of the command line beats its variable. An empty variable counts as
not set. What holds a secret has no option, since command lines are seen by every process; it may be read from a file
instead: ${secret.join(', ')}. All problems are reported at once, and none repeats a value.

| variable | option | default | meaning |
|---|---|---|---|
${rows.join('\n')}

## The queue

Each form is proven against real servers (test/conformance/queue-topologies.test.ts): a worker is woken, woken later,
woken once for the same occasion, and woken again after all connections were cut; with Sentinel and Cluster also while
the master is killed and its replica takes over.

| \`ROTOR_QUEUE_URL\` | what it reaches |
|---|---|
| \`postgres://user:password@host:5432/database\` | a PostgreSQL; Rotor keeps its jobs in the schema \`rotor_queue\` |
| \`redis://user:password@host:6379/0\` | one Redis; user, port 6379 and database 0 may be left out (\`redis://:password@host\`) |
| \`redis-sentinel://user:password@host1:26379,host2:26379/master\` | the Redis that the sentinels name as \`master\`; user and password are the Redis server's |
| \`redis-cluster://user:password@host1:6379,host2:6379\` | a cluster that is found through any of these nodes |

- \`rediss://\`, \`rediss-sentinel://\` and \`rediss-cluster://\` are the same with TLS on every connection, sentinels
  included. Certificates must name the addresses that sentinels and nodes announce.
- \`?caFile=/path/to/ca.pem\` trusts this authority and no other. Without it those that Node.js trusts are, among them
  those in \`NODE_EXTRA_CA_CERTS\`.
- \`?sentinelPassword=...\` and \`&sentinelUsername=...\` are for sentinels that ask for a login of their own.
- What has a meaning in URLs is percent-encoded in users and passwords (\`@\` as \`%40\`); options that aren't named here
  are refused.
- Redis needs \`maxmemory-policy noeviction\`. In a cluster all keys of the queue share one slot, by the prefix \`{rotor}\`.
- A server out of reach is waited for. One that can be reached but has a certificate that isn't trusted, refuses the
  login, or is a sentinel that doesn't know the master's name ends the start with \`config.invalid\`.
- What a failover loses (Redis replicates after it has answered) is found by the recovery sweep: it costs a delay, not a
  rotation.
`;
  await expect(page).toMatchFileSnapshot('../../docs/configuration.md');
});

/** A row of a Markdown table; a bar in a cell would begin another one. */
function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
