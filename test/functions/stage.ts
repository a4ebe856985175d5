import { randomUUID } from 'node:crypto';
import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RotateSecretCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { awsEnvironment } from '../setup/moto.ts';

/** Secrets of a Secrets Manager, and what AWS itself does before it calls a rotation function. */
export class Secrets {
  readonly client: SecretsManagerClient;

  constructor(url: string) {
    const env = awsEnvironment(url);
    this.client = new SecretsManagerClient({
      endpoint: url,
      region: env.AWS_REGION ?? '',
      credentials: {
        accessKeyId: env.AWS_ACCESS_KEY_ID ?? '',
        secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? '',
      },
    });
  }

  /** @returns its ARN */
  async create(value: string | object): Promise<string> {
    const SecretString = typeof value === 'string' ? value : JSON.stringify(value);
    const { ARN } = await this.client.send(
      new CreateSecretCommand({ Name: `s-${randomUUID()}`, SecretString }),
    );
    return ARN ?? '';
  }

  async nameOf(secretId: string): Promise<string | undefined> {
    return (await this.client.send(new DescribeSecretCommand({ SecretId: secretId }))).Name;
  }

  /**
   * What RotateSecret does before the first step: a version without contents, as AWSPENDING.
   * @returns the token of the version
   */
  async beginRotation(secretId: string): Promise<string> {
    const token = randomUUID();
    // moto takes a finished rotation, whose AWSPENDING is on the current version, for one in progress; AWS doesn't.
    const stages = await this.stages(secretId);
    const finished = Object.keys(stages).find(
      (id) => stages[id]?.includes('AWSPENDING') && stages[id]?.includes('AWSCURRENT'),
    );
    if (finished) {
      const label = { SecretId: secretId, VersionStage: 'AWSPENDING', RemoveFromVersionId: finished };
      await this.client.send(new UpdateSecretVersionStageCommand(label));
    }
    // It stages the version before it finds that it doesn't have this function, which is called by the tests instead.
    await this.client
      .send(
        new RotateSecretCommand({
          SecretId: secretId,
          ClientRequestToken: token,
          RotationLambdaARN: 'arn:aws:lambda:eu-central-1:123456789012:function:rotor',
          RotationRules: { AutomaticallyAfterDays: 30 },
        }),
      )
      .catch((error: Error) => {
        if (!/Resource not found for ARN/.test(error.message)) throw error;
      });
    return token;
  }

  async read(secretId: string, stage: string): Promise<string | undefined> {
    const answer = await this.client
      .send(new GetSecretValueCommand({ SecretId: secretId, VersionStage: stage }))
      .catch((error: Error) => {
        if (error.name === 'ResourceNotFoundException') return undefined;
        throw error;
      });
    return answer?.SecretString;
  }

  async document(secretId: string, stage = 'AWSCURRENT'): Promise<Record<string, unknown>> {
    return JSON.parse((await this.read(secretId, stage)) ?? '{}') as Record<string, unknown>;
  }

  async put(secretId: string, token: string, value: object): Promise<void> {
    const put = { SecretId: secretId, ClientRequestToken: token, SecretString: JSON.stringify(value) };
    await this.client.send(new PutSecretValueCommand({ ...put, VersionStages: ['AWSPENDING'] }));
  }

  /** What somebody else does: a version of their own, current at once. */
  async promote(secretId: string, token: string, from: string, value: object): Promise<void> {
    const put = { SecretId: secretId, ClientRequestToken: token, SecretString: JSON.stringify(value) };
    await this.client.send(new PutSecretValueCommand({ ...put, VersionStages: ['THEIRS'] }));
    const label = { SecretId: secretId, VersionStage: 'AWSCURRENT', MoveToVersionId: token };
    await this.client.send(new UpdateSecretVersionStageCommand({ ...label, RemoveFromVersionId: from }));
  }

  async stages(secretId: string): Promise<Record<string, string[]>> {
    const { VersionIdsToStages } = await this.client.send(new DescribeSecretCommand({ SecretId: secretId }));
    return VersionIdsToStages ?? {};
  }
}
