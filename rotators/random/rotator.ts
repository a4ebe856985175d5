import { z } from 'zod';
import { generatePassword, passwordRules } from '../../core/password.ts';
import type { Rotator } from '../rotator.ts';

const spec = z.strictObject({ value: passwordRules.prefault({}) });

/**
 * A generated value that no provider checks: a signing key of one's own, a shared secret, a cookie key. The saga
 * stages, publishes, delivers and rolls it out; there is nobody to install it at, to try it or to revoke it.
 */
export const randomRotator: Rotator<never, z.output<typeof spec>> = {
  kind: 'random',
  provider: undefined,
  credential: spec,
  open: (_provider, { value: rules }) => ({
    capabilities: { overlap: 'no-provider', issuedBy: 'rotor', seesUsage: false, fence: 'deadline' },
    format: { secrets: ['value'] },
    plan: async () => ({ actions: [`make a value of ${rules.length} characters`], warnings: [] }),
    generate: async (call, versionId) => ({
      versionId,
      identity: '',
      fields: {},
      secrets: { value: generatePassword(rules, call.random) },
    }),
    install: async () => undefined,
    // Nobody checks it, so nobody refuses it; the saga doesn't take this for a proof.
    attempt: async () => 'accepted',
    uninstall: async () => undefined,
    usage: async () => ({ sessions: undefined, clients: [] }),
    revoke: async () => undefined,
    close: async () => undefined,
  }),
};
