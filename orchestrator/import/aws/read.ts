import type { SecretListEntry } from '@aws-sdk/client-secrets-manager';
import { awsConnection } from '../../../core/aws/connection.ts';
import { awsError } from '../../../stores/aws/errors.ts';
import { fieldsOf, type KnownFields } from './document.ts';
import type { ListedSecret } from './map.ts';

export interface AwsImportOptions {
  readonly region?: string | undefined;
  readonly profile?: string | undefined;
  /** Names that begin with this only. */
  readonly prefix?: string | undefined;
  /** Whether secrets are read, for where they are valid. */
  readonly readValues: boolean;
}

const WHO = { who: 'rotor import', page: 'docs/import.md' };

/** Secrets that AWS rotates, and how many others there are. @throws RotorError naming the permission that is missing */
export async function readSecrets(options: AwsImportOptions): Promise<{
  readonly secrets: readonly ListedSecret[];
  readonly others: number;
  readonly region: string | undefined;
}> {
  const { SecretsManager, paginateListSecrets } = await import('@aws-sdk/client-secrets-manager');
  const { region, profile } = options;
  // It changes nothing and runs while somebody waits: the SDK may repeat by itself.
  const client = new SecretsManager({ ...(await awsConnection({ region, profile })), maxAttempts: 5 });
  const asked = { action: 'secretsmanager:ListSecrets', object: 'secrets', ...WHO };
  const entries: SecretListEntry[] = [];
  try {
    for await (const page of paginateListSecrets({ client }, {})) entries.push(...(page.SecretList ?? []));
  } catch (thrown) {
    throw awsError(thrown, asked);
  }
  const meant = entries.filter(({ Name }) => Name?.startsWith(options.prefix ?? ''));
  const rotated = meant.filter(({ RotationEnabled }) => RotationEnabled === true);
  const secrets: ListedSecret[] = [];
  for (const entry of rotated) {
    const name = entry.Name ?? '';
    const readable = options.readValues && entry.OwningService === undefined;
    const fields = readable ? await fieldsIn(client, entry.ARN ?? name, name) : 'unread';
    secrets.push({
      name,
      rules: entry.RotationRules,
      functionArn: entry.RotationLambdaARN,
      owningService: entry.OwningService,
      primaryRegion: entry.PrimaryRegion,
      fields,
    });
  }
  return { secrets, others: meant.length - rotated.length, region: await client.config.region() };
}

async function fieldsIn(
  client: InstanceType<typeof import('@aws-sdk/client-secrets-manager').SecretsManager>,
  SecretId: string,
  name: string,
): Promise<KnownFields | 'not-json'> {
  try {
    const { SecretString } = await client.getSecretValue({ SecretId });
    return fieldsOf(SecretString ?? '') ?? 'not-json';
  } catch (thrown) {
    throw awsError(thrown, { action: 'secretsmanager:GetSecretValue', object: `secret ${name}`, ...WHO });
  }
}
