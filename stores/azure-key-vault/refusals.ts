import { RotorError } from '../../core/errors.ts';
import { MAX_BYTES } from './spec.ts';

export function notThere(name: string): RotorError {
  return new RotorError('store.not-found', {
    what: `secret ${name} doesn't exist in the Key Vault`,
    hint: 'Create the secret, or set `create: true` in the Store.',
  });
}

export function tooLong(name: string, size: number): RotorError {
  return new RotorError('store.too-large', {
    what: `secret ${name}: a document of ${size} bytes; Key Vault takes ${MAX_BYTES}`,
  });
}

export function noRoomForTags(name: string): RotorError {
  return new RotorError('store.conflict', {
    what: `secret ${name} has so many tags that the two of Rotor don't fit: Key Vault takes 15`,
    hint: 'Remove tags that nobody needs from its newest version.',
  });
}
