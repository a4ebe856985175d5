import { RotorError } from '../../core/errors.ts';
import { exceptionName } from '../aws/errors.ts';
import type { Explain } from '../aws/send.ts';

/** What Secrets Manager's own exceptions mean for a secret, whatever was asked. */
export function explained(name: string): Explain {
  return (error) => {
    const exception = exceptionName(error);
    const message = error instanceof Error ? error.message : '';
    if (exception === 'ResourceNotFoundException') {
      return new RotorError('store.not-found', {
        what: `secret ${name} or the version that was asked for doesn't exist in AWS Secrets Manager`,
        hint: 'Create the secret in this region and account, or set `create: true` in the Store.',
      });
    }
    if (exception === 'ResourceExistsException') {
      return new RotorError('store.conflict', {
        what: `secret ${name}: this version exists with another document`,
      });
    }
    if (exception === 'LimitExceededException') {
      return new RotorError('store.unavailable', {
        what: `secret ${name}: a quota of AWS Secrets Manager is used up (versions that carry labels, or secrets)`,
        hint: 'Remove staging labels of other tools from old versions of the secret.',
        kind: 'terminal',
      });
    }
    if (exception !== 'InvalidRequestException') return undefined;
    if (/deleti|marked deleted/i.test(message)) return goingAway(name);
    if (/replica/i.test(message)) {
      return new RotorError('store.conflict', {
        what: `secret ${name} is a replica in this region: only its primary can be written`,
        hint: "Set the Store's `region` to the one of the primary secret.",
      });
    }
    if (/managed by|owned by|owning service/i.test(message)) return managed(name);
    return undefined;
  };
}

export function missing(name: string): RotorError {
  return new RotorError('store.not-found', {
    what: `secret ${name} doesn't exist in AWS Secrets Manager`,
    hint: 'Create the secret in this region and account, or set `create: true` in the Store.',
  });
}

export function goingAway(name: string): RotorError {
  return new RotorError('store.conflict', {
    what: `secret ${name} is scheduled for deletion, so AWS neither shows nor changes it`,
    hint: `\`aws secretsmanager restore-secret --secret-id ${name}\`, or name another secret in the policy.`,
  });
}

export function managed(name: string, service = 'a service of AWS'): RotorError {
  return new RotorError('store.conflict', {
    what: `secret ${name} is managed by ${service}: only that service may change its value`,
    hint: 'Let the service rotate it, or give the credential a secret of its own.',
  });
}
