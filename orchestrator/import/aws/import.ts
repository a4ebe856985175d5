import { naming } from '../draft.ts';
import type { Import } from '../import.ts';
import { mapSecret } from './map.ts';
import { type AwsImportOptions, readSecrets } from './read.ts';

/** Policies for the secrets that AWS Secrets Manager rotates. @throws RotorError */
export async function importAws(options: AwsImportOptions, kinds: readonly string[]): Promise<Import> {
  const { secrets, others, region } = await readSecrets(options);
  const nameFor = naming();
  const store = 'aws';
  const found = secrets.map((secret) => mapSecret(secret, { region, store, kinds, nameFor }));
  const used = found.some(({ manifests }) => manifests.length > 0);
  return {
    found,
    shared: used
      ? [{ kind: 'Store', name: store, spec: { awsSecretsManager: region ? { region } : {} } }]
      : [],
    remarks: others > 0 ? [`${others} secrets that AWS does not rotate are left out`] : [],
  };
}
