import { expect, test } from 'vitest';
import { SETTINGS, type Setting } from '../../core/config-settings.ts';
import { ERROR_CODES } from '../../core/error-codes.ts';

// When one of these fails because the table in the code was changed: vitest run test/docs/tables.test.ts -u

const MARK = '<!-- Written by test/docs/tables.test.ts from the table in the code; change it there. -->';

test('docs/errors.md lists every error code as the code has it', async () => {
  const rows = Object.entries(ERROR_CODES).map(([code, [kind, hint]]) => row([`\`${code}\``, kind, hint]));
  const page = `# Errors

${MARK}

Every error has a stable code, says what happened to which object, and what to do next. The kind tells how a
rotation answers: *retryable*: nothing happened, it tries again later; *terminal*: nothing happened, and trying again
won't help; *ambiguous*: it may have happened, so it looks before it does anything else. Where a call knows better
than its code, it says so.

| code | kind | what to do next |
|---|---|---|
${rows.join('\n')}
`;
  await expect(page).toMatchFileSnapshot('../../docs/errors.md');
});

test('docs/configuration.md lists every setting as the code has it', async () => {
  const settings: readonly Setting[] = Object.values(SETTINGS);
  const rows = settings.map((setting) =>
    row([
      `\`${setting.variable}\``,
      setting.flag ? `\`--${setting.flag}\`` : '',
      setting.default === undefined ? '' : `\`${setting.default}\``,
      setting.meaning,
    ]),
  );
  const secret = settings.filter((each) => each.secret).map(({ variable }) => `\`${variable}_FILE\``);
  const page = `# Configuration

${MARK}

Settings come from the environment, and an option of the command line beats its variable. An empty variable counts as
not set. What holds a secret has no option, since command lines are seen by every process; it may be read from a file
instead: ${secret.join(', ')}. All problems are reported at once, and none repeats a value.

| variable | option | default | meaning |
|---|---|---|---|
${rows.join('\n')}
`;
  await expect(page).toMatchFileSnapshot('../../docs/configuration.md');
});

/** A row of a Markdown table; a bar in a cell would begin another one. */
function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
