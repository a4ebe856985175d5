import { createRotationHandler } from '../lambda/handler.ts';
import { randomStrategy } from './strategy.ts';

/** Entry point of the function `rotor-random`. */
export const handler = createRotationHandler('rotor-random', randomStrategy);
