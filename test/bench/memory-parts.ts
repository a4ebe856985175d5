import { z } from 'zod';
import { systemClock } from '../../core/clock.ts';
import { SecretValue } from '../../core/secret.ts';
import type { Rotator } from '../../rotators/rotator.ts';
import type { Stage, Store } from '../../stores/store.ts';
import type { Registries } from '../../workers/saga/parts.ts';
import type { RotationSpec } from '../../workers/saga/spec.ts';

export const MEMORY_SPEC: RotationSpec = {
  rotator: { kind: 'memory', credential: {} },
  store: { kind: 'memory', spec: {}, path: 'bench' },
  deliver: [],
  consumers: [],
  settle: { graceMs: 0, evidence: 'sessions', timeoutMs: 60_000, onTimeout: 'roll-back' },
};

/**
 * Parts that take no time, so that a benchmark measures everything around them.
 * @param answerMs so long the provider takes to answer all the same
 */
export function memoryParts(answerMs = 0): Registries {
  return { rotators: [rotator(answerMs)], stores: [store()], deliveries: [], rollouts: [] };
}

function rotator(answerMs: number): Rotator {
  const answer = async () => (answerMs > 0 ? systemClock.sleep(answerMs) : undefined);
  return {
    kind: 'memory',
    provider: undefined,
    credential: z.unknown(),
    open: () => ({
      capabilities: { overlap: 'no-provider', issuedBy: 'rotor', seesUsage: false, fence: 'deadline' },
      format: { secrets: ['value'] },
      plan: async () => ({ actions: [], warnings: [] }),
      generate: async (_call, versionId) => ({
        versionId,
        identity: '',
        fields: {},
        secrets: { value: SecretValue.of(versionId) },
      }),
      install: answer,
      attempt: async () => {
        await answer();
        return 'accepted';
      },
      uninstall: async () => undefined,
      usage: async () => ({ sessions: 0, clients: [] }),
      revoke: async () => undefined,
      close: async () => undefined,
    }),
  };
}

function store(): Store {
  return {
    kind: 'memory',
    spec: z.unknown(),
    open: () => {
      const versions = new Map<string, SecretValue>();
      const stages = new Map<Stage, string>();
      return {
        stage: async (_call, _path, versionId, document) => {
          versions.set(versionId, document);
          stages.set('pending', versionId);
        },
        read: async (_call, _path, which) => {
          const versionId = typeof which === 'string' ? stages.get(which) : which.versionId;
          const document = versionId === undefined ? undefined : versions.get(versionId);
          return versionId !== undefined && document ? { versionId, document } : undefined;
        },
        promote: async (_call, _path, versionId) => {
          stages.set('current', versionId);
        },
        discard: async (_call, _path, versionId) => {
          versions.delete(versionId);
        },
        list: async () => [],
        close: async () => undefined,
      };
    },
  };
}
