import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretManagerDouble } from '../doubles/google/secret-manager.ts';
import { TokenServiceDouble } from '../doubles/google/token-service.ts';

export interface TestSecretManager {
  readonly google: SecretManagerDouble;
  readonly tokens: TokenServiceDouble;
  stop(): Promise<void>;
}

/** A double of Secret Manager, and of what gives tokens for it, for this process and those that it starts. */
export async function startSecretManager(): Promise<TestSecretManager> {
  const google = await new SecretManagerDouble().listen();
  const tokens = await new TokenServiceDouble().listen();
  const folder = await mkdtemp(join(tmpdir(), 'rotor-google-'));
  const subject = join(folder, 'subject');
  const credentials = join(folder, 'credentials.json');
  await writeFile(subject, tokens.subjectToken);
  await writeFile(credentials, JSON.stringify(tokens.credentials(subject)));
  process.env.GOOGLE_APPLICATION_CREDENTIALS = credentials;
  return {
    google,
    tokens,
    stop: async () => {
      await google.stop();
      await tokens.stop();
    },
  };
}
