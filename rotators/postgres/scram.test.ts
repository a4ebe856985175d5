import { expect, test } from 'vitest';
import { cryptoRandom } from '../../core/random.ts';
import { SecretValue } from '../../core/secret.ts';
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
