import { createRotationHandler } from '../lambda/handler.ts';
import { postgresStrategy } from './strategy.ts';

/** Entry point of the function `rotor-postgres`. */
export const handler = createRotationHandler('rotor-postgres', postgresStrategy);
