import pg from 'pg';
import { expect, test } from 'vitest';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
import { freshDatabase } from '../../test/setup/postgres.ts';
import { scramVerifier, verifierOf } from './scram.ts';

test('the verifier is that of RFC 7677: password "pencil", its salt, 4096 iterations', async () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  // Server key and stored key follow from the example of section 3, which names the server's signature.
  const verifier = await verifierOf(SecretValue.of('pencil'), salt, 4_096);
  expect(verifier).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

test('two verifiers of one password differ, since each has a salt of its own', async () => {
  const password = SecretValue.of('same');
  expect(await scramVerifier(password, cryptoRandom)).not.toBe(await scramVerifier(password, cryptoRandom));
});

test.each([
  ['ASCII', 'plain-Pass.word~1'],
  ['composed and decomposed letters', 'p\u00e4ss cafe\u0301'],
  ['compatibility forms', 'no\ufb01sh \u2168 \uff21'],
  ['spaces and invisible marks', 'a\u00a0b\u3000c\u00add\u200de\ufe0f'],
  ['other scripts', '\u30d1\u30b9\u30ef\u30fc\u30c9 \u{1f511}'],
])('it is the very verifier that the server makes of the password: %s', async (_what, text) => {
  const database = await freshDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`CREATE ROLE ${database.name}_scram PASSWORD ${pg.escapeLiteral(text)}`);
  const { rows } = await client.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [
    `${database.name}_scram`,
  ]);
  await client.end();
  await database.drop();
  const [, iterations, salt] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$/.exec(rows[0].rolpassword) ?? [];
  const ours = await verifierOf(SecretValue.of(text), Buffer.from(salt ?? '', 'base64'), Number(iterations));
  expect(ours).toBe(rows[0].rolpassword);
});

test.each([
  [Buffer.alloc(15), 4_096],
  [Buffer.alloc(16), 12],
])('a verifier that the server would take for a plain password is never made', async (salt, iterations) => {
  await expect(verifierOf(SecretValue.of('x'), salt, iterations)).rejects.toThrow('malformed');
});
