import { functionRotator } from './function/rotator.ts';
import { postgresRotator } from './postgres/rotator.ts';
import { randomRotator } from './random/rotator.ts';
import type { Rotator } from './rotator.ts';
import { vaultDatabaseRotator } from './vault-database/rotator.ts';

/** Every kind of credential that Rotor knows. A new one adds its folder and a line here. */
export const rotators: readonly Rotator[] = [
  postgresRotator,
  randomRotator,
  vaultDatabaseRotator,
  functionRotator,
];
