import type { Kind } from '../manifests/manifest.ts';

export const GROUP = 'rotor.dev';
export const VERSION = 'v1alpha1';

/** A column of `kubectl get`; those of priority 1 show with `-o wide`. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly priority?: 1;
  readonly description: string;
}

/** How a kind of manifest is known to a cluster. */
export interface ClusterKind {
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly columns: readonly Column[];
}

const condition = (type: string, field: string) => `.status.conditions[?(@.type=="${type}")].${field}`;

const READY: Column = {
  name: 'Ready',
  type: 'string',
  jsonPath: condition('Ready', 'status'),
  description: 'Whether it is in force and nothing is wrong with it',
};
const REASON: Column = {
  name: 'Reason',
  type: 'string',
  jsonPath: condition('Ready', 'reason'),
  priority: 1,
  description: 'Why it is ready, or is not',
};
const AGE: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Age of this object',
};
const TYPE: Column = {
  name: 'Type',
  type: 'string',
  jsonPath: '.status.type',
  description: 'Kind of provider or store that it describes',
};

/** Every kind of manifest as a custom resource: a new kind is one entry. */
export const CLUSTER_KINDS: Readonly<Record<Kind, ClusterKind>> = {
  RotationPolicy: {
    plural: 'rotationpolicies',
    shortNames: ['rp'],
    description:
      'What to rotate, where it is stored, who consumes it, and when. The annotation rotor.dev/rotate-now starts a rotation whenever it gets a value that it never had.',
    columns: [
      {
        name: 'State',
        type: 'string',
        jsonPath: '.status.state',
        description: 'What becomes of its credential at the moment',
      },
      READY,
      {
        name: 'Credential Age',
        type: 'date',
        jsonPath: '.status.lastRotatedAt',
        description: 'Time since the current credential was put in place',
      },
      {
        name: 'Last',
        type: 'string',
        jsonPath: '.status.lastRotation.state',
        description: 'How the last rotation ended, or how it stands',
      },
      {
        name: 'Next',
        type: 'string',
        jsonPath: '.status.nextRotationAt',
        description: 'When the next rotation is due',
      },
      AGE,
      {
        name: 'Provider',
        type: 'string',
        jsonPath: '.spec.provider',
        priority: 1,
        description: 'Where the credential is valid',
      },
      {
        name: 'Store',
        type: 'string',
        jsonPath: '.spec.store.path',
        priority: 1,
        description: 'Path of its versions in the store',
      },
      REASON,
    ],
  },
  Provider: {
    plural: 'providers',
    shortNames: ['rprov'],
    description: 'The database or API where credentials are valid, and who may change them there.',
    columns: [TYPE, READY, AGE, REASON],
  },
  Store: {
    plural: 'stores',
    shortNames: ['rstore'],
    description: 'Where versions of credentials are kept.',
    columns: [TYPE, READY, AGE, REASON],
  },
  Runbook: {
    plural: 'runbooks',
    shortNames: ['rbook'],
    description: 'What an incident does about the credentials of the policies that name it.',
    columns: [READY, AGE, REASON],
  },
};
