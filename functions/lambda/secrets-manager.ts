import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { RotorError } from '../../core/errors.ts';
import type { Deadline } from '../../core/retry.ts';
import { SecretValue } from '../../core/secret.ts';
import { apiError } from './api-errors.ts';
import type { Environment } from './environment.ts';
import type { SecretState } from './readiness.ts';

export type Stage = 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS';

/**
 * The five calls that a rotation makes. Every method throws RotorErrors `store.*`; a change whose answer was lost is
 * `ambiguous`.
 */
export class SecretsManager {
  readonly #client: SecretsManagerClient;

  /** SECRETS_MANAGER_ENDPOINT is the variable of AWS's own functions; without it the region's endpoint is asked. */
  constructor(env: Environment) {
    const endpoint = env.SECRETS_MANAGER_ENDPOINT;
    this.#client = new SecretsManagerClient(endpoint ? { endpoint } : {});
  }

  async describe(secretId: string, deadline: Deadline): Promise<SecretState> {
    const asked = { operation: 'DescribeSecret', secretId, changes: false };
    const found = await this.#ask(asked, deadline, (options) =>
      this.#client.send(new DescribeSecretCommand({ SecretId: secretId }), options),
    );
    return { rotationEnabled: found.RotationEnabled, stages: found.VersionIdsToStages ?? {} };
  }

  /** @param versionId which the stage must be on; whichever has it when absent */
  async read(secretId: string, stage: Stage, deadline: Deadline, versionId?: string): Promise<SecretValue> {
    const asked = { operation: 'GetSecretValue', secretId: `${secretId} (${stage})`, changes: false };
    const found = await this.#ask(asked, deadline, (options) =>
      this.#client.send(
        new GetSecretValueCommand({
          SecretId: secretId,
          VersionStage: stage,
          ...(versionId === undefined ? {} : { VersionId: versionId }),
        }),
        options,
      ),
    );
    if (found.SecretString !== undefined) return SecretValue.of(found.SecretString);
    throw new RotorError('credential.malformed', {
      what: `secret ${secretId} (${stage}) is binary`,
      hint: 'Store the secret as text (SecretString), as AWS documents it for rotation.',
    });
  }

  /** Like read, but undefined when nothing has this stage yet. */
  async find(
    secretId: string,
    stage: Stage,
    deadline: Deadline,
    versionId?: string,
  ): Promise<SecretValue | undefined> {
    try {
      return await this.read(secretId, stage, deadline, versionId);
    } catch (error) {
      if (error instanceof RotorError && error.code === 'store.not-found') return undefined;
      throw error;
    }
  }

  /** Stages `value` as AWSPENDING. Repeated with the same value it changes nothing; with another one it is a conflict. */
  async stage(
    secretId: string,
    versionId: string,
    value: SecretValue,
    deadline: Deadline,
    rotationToken: string | undefined,
  ): Promise<void> {
    const asked = { operation: 'PutSecretValue', secretId, changes: true };
    await this.#ask(asked, deadline, (options) =>
      this.#client.send(
        new PutSecretValueCommand({
          SecretId: secretId,
          ClientRequestToken: versionId,
          SecretString: value.reveal(),
          VersionStages: ['AWSPENDING'],
          ...(rotationToken === undefined ? {} : { RotationToken: rotationToken }),
        }),
        options,
      ),
    );
  }

  /** Moves AWSCURRENT; Secrets Manager moves AWSPREVIOUS by itself, and refuses when `from` doesn't have the label any more. */
  async promote(
    secretId: string,
    versionId: string,
    from: string | undefined,
    deadline: Deadline,
  ): Promise<void> {
    const asked = { operation: 'UpdateSecretVersionStage', secretId, changes: true };
    await this.#ask(asked, deadline, (options) =>
      this.#client.send(
        new UpdateSecretVersionStageCommand({
          SecretId: secretId,
          VersionStage: 'AWSCURRENT',
          MoveToVersionId: versionId,
          ...(from === undefined ? {} : { RemoveFromVersionId: from }),
        }),
        options,
      ),
    );
  }

  async #ask<T>(
    asked: { operation: string; secretId: string; changes: boolean },
    deadline: Deadline,
    send: (options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    try {
      return await deadline.run(`${asked.operation} of ${asked.secretId}`, (abortSignal) =>
        send({ abortSignal }),
      );
    } catch (error) {
      throw apiError(error, asked);
    }
  }
}
