import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { rotorProgram } from '../../orchestrator/cli/program.ts';

const root = join(import.meta.dirname, '../..');
const program = rotorProgram();

interface Line {
  readonly where: string;
  readonly words: readonly string[];
}

/** What stands in blocks for a shell, comments left out, lines that go on put together. */
async function shellLines(): Promise<Line[]> {
  const found: Line[] = [];
  for await (const file of glob(['README.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root })) {
    const page = await readFile(join(root, file), 'utf8');
    for (const block of page.matchAll(/^```(?:console|sh|bash)\n(.*?)^```$/gms)) {
      const text = block[1]?.replaceAll('\\\n', ' ') ?? '';
      for (const line of text.split('\n')) {
        const words = line
          .replace(/\s#.*$/, '')
          .trim()
          .split(/\s+/);
        if (words[0] !== '') found.push({ where: `${file}: ${words.join(' ')}`, words });
      }
    }
  }
  return found;
}

const lines = await shellLines();
const rotor = lines.flatMap(({ where, words }) => {
  const at = words.findIndex(
    (word, n) => word === 'rotor' && (n === 0 || words[n - 1] === '--' || words[n + 1] === '--'),
  );
  if (at < 0) return [];
  return [{ where, args: words.slice(at + 1).filter((word, n) => !(n === 0 && word === '--')) }];
});

test('the pages tell how to use the command line', () => {
  expect(rotor.length).toBeGreaterThan(20);
});

test.each(rotor)('a command that exists, with options that it has: $where', ({ args }) => {
  let command: Command = program;
  let rest = [...args];
  for (;;) {
    const next = command.commands.find(
      (each) => each.name() === rest[0] || each.aliases().includes(rest[0] ?? ''),
    );
    if (!next) break;
    command = next;
    rest = rest.slice(1);
  }
  expect(command, `rotor ${args.join(' ')}`).not.toBe(program);
  expect(command.commands, `${command.name()} needs one of its own commands`).toEqual([]);
  const known = [...command.options, ...program.options].flatMap(({ short, long }) => [short, long]);
  for (const option of rest.filter((word) => /^-{1,2}[a-z]/.test(word))) expect(known).toContain(option);
});

test.each(lines.filter(({ words }) => words.includes('npm')))(
  'a script that exists: $where',
  async ({ words }) => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    const [verb, ...rest] = words.slice(words.indexOf('npm') + 1);
    const script = verb === 'run' ? rest.find((word) => !word.startsWith('-')) : verb;
    expect(Object.keys(scripts)).toContain(script);
  },
);

test('every command is in the table of docs/cli.md', async () => {
  const page = await readFile(join(root, 'docs/cli.md'), 'utf8');
  const table = page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .join('\n');
  const names = program.commands.filter(({ commands }) => commands.length === 0).map((each) => each.name());
  for (const name of names) expect(table).toMatch(new RegExp(`\`${name}\\b`));
});
