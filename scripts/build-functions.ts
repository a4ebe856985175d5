import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { functionEntries } from '../functions/registry.ts';
import { bundleFunction } from './bundle-function.ts';

/**
 * Makes dist/lambda/<function>.zip of every function; functions/template.yaml deploys them. The same sources make the same
 * bytes, so that who deploys by hash deploys only what changed.
 */
const FOLDER = 'dist/lambda';
mkdirSync(FOLDER, { recursive: true });
for (const { name, kind } of functionEntries) {
  const content = await bundleFunction(kind);
  const file = join(FOLDER, `${name}.zip`);
  writeFileSync(file, content);
  const hash = createHash('sha256').update(content).digest('hex');
  process.stdout.write(`${file}  ${(content.length / 1024).toFixed(0)} KiB  sha256:${hash}\n`);
}
