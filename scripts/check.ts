import { spawnSync } from 'node:child_process';

/** Everything that holds without running the program: types, then lint, layers, format and import cycles (Biome). */
const checks = [
  ['tsc', '--noEmit'],
  ['biome', 'check', '--error-on-warnings', '.'],
];

let failed = 0;
for (const [command, ...args] of checks) {
  const { status } = spawnSync(command as string, args, { stdio: 'inherit' });
  process.stdout.write(`${status === 0 ? 'ok    ' : 'failed'}  ${command} ${args.join(' ')}\n`);
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
