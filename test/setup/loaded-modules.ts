/**
 * Loaded by `node --import` before a program: writes the address of every module that it loads to the file that
 * ROTOR_TEST_LOADED names, a line each.
 */
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

const file = process.env.ROTOR_TEST_LOADED;
registerHooks({
  load: (url, context, next) => {
    if (file) appendFileSync(file, `${url}\n`);
    return next(url, context);
  },
});
