import type { DescribeSecretResponse } from '@aws-sdk/client-secrets-manager';
import type { StoreReport } from '../store.ts';
import { LABEL, stagesOf } from './labels.ts';
import { goingAway, managed, missing } from './refusals.ts';
import { replicasOf } from './replicas.ts';

/**
 * Whether a rotation can work on the secret, and what the person who plans it should know.
 * @throws RotorError `store.not-found`, `store.conflict`
 */
export function checked(
  name: string,
  secret: DescribeSecretResponse | undefined,
  create: boolean,
): StoreReport {
  if (!secret) {
    if (create) return { warnings: [`secret ${name} doesn't exist yet: Rotor makes it`] };
    throw missing(name);
  }
  if (secret.DeletedDate) throw goingAway(name);
  if (secret.OwningService) throw managed(name, secret.OwningService);
  const warnings: string[] = [];
  const labels = Object.entries(secret.VersionIdsToStages ?? {});
  if (secret.RotationEnabled) {
    warnings.push(
      `AWS rotates secret ${name} too (${secret.RotationLambdaARN ?? 'rotation is enabled'}): two rotators undo each other's work; ` +
        `\`aws secretsmanager cancel-rotate-secret --secret-id ${name}\` leaves it to Rotor`,
    );
  }
  const stale = labels.find(([, own]) => stagesOf(own).includes('pending'))?.[0];
  if (stale) {
    warnings.push(
      `secret ${name}: ${LABEL.pending} is on version ${stale}, which isn't current; the rotation takes it from there`,
    );
  }
  const replicas = replicasOf(secret);
  if (typeof replicas !== 'string')
    warnings.push(
      `secret ${name} is not in sync in ${replicas.behind.join(', ')}: publishing would wait for that`,
    );
  return { warnings };
}
