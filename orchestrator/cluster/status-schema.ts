import type { Kind } from '../manifests/manifest.ts';
import type { Structural } from './structural.ts';

const text = (description: string, maxLength: number): Structural => ({
  description,
  type: 'string',
  maxLength,
});
const instant = (description: string): Structural => ({ description, type: 'string', format: 'date-time' });

/** As `metav1.Condition` has them. */
const conditions: Structural = {
  description: 'What is known of it; Accepted, Ready and Rotating',
  type: 'array',
  maxItems: 16,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
  items: {
    type: 'object',
    required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
    properties: {
      type: text('Accepted, Ready or Rotating', 316),
      status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
      observedGeneration: { type: 'integer', format: 'int64', minimum: 0 },
      lastTransitionTime: instant('When the status last changed'),
      reason: text('One word for programs', 1024),
      message: text('What it means, for people', 32_768),
    },
  },
};

const base = {
  conditions,
  observedGeneration: {
    description: 'The metadata.generation that this status speaks of',
    type: 'integer',
    format: 'int64',
  },
} satisfies Record<string, Structural>;

const ofPolicy = {
  ...base,
  state: text('new, current, rotating, rolled-back, needs-human, suspended, paused or invalid', 64),
  lastRotation: {
    description: 'The latest rotation',
    type: 'object',
    properties: {
      id: text('For rotor describe rotation/<id>', 64),
      state: text('queued, running, waiting, done, rolled-back or needs-human', 64),
      endedAt: instant('When it ended; absent while it runs'),
    },
  },
  lastRotatedAt: instant('When the current credential was put in place'),
  nextRotationAt: instant('When the next rotation is due; absent when none is planned'),
  credentialVersion: text('Id of the current version of the credential', 64),
  lastRotateNow: text('The value of rotor.dev/rotate-now that was answered last', 1024),
} satisfies Record<string, Structural>;

const ofOthers = { ...base, type: text('Kind of provider or store', 64) } satisfies Record<
  string,
  Structural
>;

/** `status` of a kind, written by Rotor alone. */
export function statusSchema(kind: Kind): Structural {
  return {
    description: 'What Rotor has seen and done. Written by Rotor alone',
    type: 'object',
    properties: kind === 'RotationPolicy' ? ofPolicy : ofOthers,
  };
}
