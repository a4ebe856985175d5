import { RotorError } from '../../core/errors.ts';
import { exceptionName } from '../aws/errors.ts';
import type { Explain } from '../aws/send.ts';

/** What Parameter Store's own exceptions mean for a parameter, whatever was asked. */
export function explained(name: string): Explain {
  return (error) => {
    const exception = exceptionName(error);
    if (exception === 'ParameterNotFound' || exception === 'ParameterVersionNotFound') return missing(name);
    if (exception === 'ParameterMaxVersionLimitExceeded') {
      return new RotorError('store.conflict', {
        what: `parameter ${name} has 100 versions, and the oldest carries a label, so AWS takes no new one`,
        hint: `Move or remove the label: \`aws ssm get-parameter-history --name ${name}\`, then \`aws ssm unlabel-parameter-version\`.`,
      });
    }
    if (exception === 'ParameterVersionLabelLimitExceeded') {
      return new RotorError('store.conflict', {
        what: `parameter ${name}: a version carries 10 labels already, so Rotor's don't fit`,
        hint: 'Remove labels of other tools from the newest versions.',
      });
    }
    if (exception === 'ParameterLimitExceeded') {
      return new RotorError('store.unavailable', {
        what: `parameter ${name}: the account's quota of parameters is used up`,
        hint: 'Delete parameters that nobody uses, or ask AWS for more.',
        kind: 'terminal',
      });
    }
    if (exception === 'ParameterPatternMismatchException') {
      return new RotorError('store.conflict', {
        what: `parameter ${name} has an allowed pattern that Rotor's JSON document doesn't match`,
        hint: 'Remove the pattern, or give the credential a parameter of its own.',
      });
    }
    return undefined;
  };
}

export function missing(name: string): RotorError {
  return new RotorError('store.not-found', {
    what: `parameter ${name} or the version that was asked for doesn't exist in AWS Parameter Store`,
    hint: 'Create the parameter (SecureString) in this region and account, or set `create: true` in the Store.',
  });
}

export function notSecure(name: string, type: string): RotorError {
  return new RotorError('store.conflict', {
    what: `parameter ${name} is a ${type}: its values are kept in the clear`,
    hint: 'Delete it and create it again as SecureString: AWS does not change the type of a parameter.',
  });
}
