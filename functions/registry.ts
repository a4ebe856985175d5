/** A rotator as a function of its own: a zip for Lambda, a name at the function host. */
export interface FunctionEntry {
  readonly name: string;
  /** Kind of rotator (rotators/registry.ts) that it is made of; its folder here has the same name. */
  readonly kind: string;
  readonly description: string;
}

/** A test holds this list against the rotators: none is left out. */
export const functionEntries: readonly FunctionEntry[] = [
  {
    name: 'rotor-postgres',
    kind: 'postgres',
    description: 'Rotates a PostgreSQL user: single user, or alternating users when the secret has masterarn',
  },
  {
    name: 'rotor-random',
    kind: 'random',
    description: 'Replaces a generated value that no provider checks',
  },
];
