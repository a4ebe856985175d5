import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { functionEntries } from '../../functions/registry.ts';
import { rotators } from '../../rotators/registry.ts';
import { bundleFunction } from '../../scripts/bundle-function.ts';
import { awsEnvironment, moto, startMoto } from '../setup/moto.ts';
import { aDatabase, type Stage } from './database.ts';
import { run } from './host.ts';
import { Secrets } from './stage.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LIMIT = 1.5 * 1024 * 1024;

/** What another system makes and sets has nothing for a function to do, and `function` lets functions work. */
const NO_FUNCTION = ['vaultDatabase', 'function'];

test('every rotator is a function, and every function is in the template', async () => {
  expect([...functionEntries.map(({ kind }) => kind), ...NO_FUNCTION].toSorted()).toEqual(
    rotators.map(({ kind }) => kind).toSorted(),
  );
  const text = await readFile(join(ROOT, 'functions/template.yaml'), 'utf8');
  // The tags are CloudFormation's own; their values are enough here.
  const template = parseDocument(text, { logLevel: 'silent' }).toJS() as {
    Resources: Record<string, { Type: string; Properties: { FunctionName: string; CodeUri: string } }>;
  };
  const functions = Object.values(template.Resources).filter(
    ({ Type }) => Type === 'AWS::Serverless::Function',
  );
  const names = functionEntries.map(({ name }) => name);
  expect(functions.map(({ Properties }) => Properties.FunctionName)).toEqual(names);
  expect(functions.map(({ Properties }) => Properties.CodeUri)).toEqual(
    names.map((name) => `../dist/lambda/${name}.zip`),
  );
});

test.each(functionEntries)('the zip of $name is small, and the same bytes each time', async ({ kind }) => {
  const [first, second] = [await bundleFunction(kind), await bundleFunction(kind)];
  expect(first.equals(second)).toBe(true);
  expect(first.length).toBeLessThan(LIMIT);
});

test.skipIf(!moto.bin)(`cfn-lint finds nothing in the template${moto.skipped}`, async () => {
  const found = await run(join(moto.bin, 'cfn-lint'), [join(ROOT, 'functions/template.yaml')], {});
  expect(found).toEqual({ code: 0, stdout: '', stderr: '' });
});

/** What Lambda's runtime does, as far as a handler sees it. */
const RUNNER = `
import { handler } from './index.mjs';
let text = '';
for await (const chunk of process.stdin) text += chunk;
for (const event of JSON.parse(text))
  await handler(event, { awsRequestId: 'r-1', getRemainingTimeInMillis: () => 30_000 });
`;

describe.skipIf(!moto.bin)(`a zip as Lambda runs it${moto.skipped}`, () => {
  let server: Awaited<ReturnType<typeof startMoto>>;
  let secrets: Secrets;
  let stage: Stage;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rotor-zip-'));
    server = await startMoto();
    secrets = new Secrets(server.url);
    stage = await aDatabase(secrets);
  });
  afterAll(async () => {
    await stage?.drop();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test.each(functionEntries)(
    '$name rotates with nothing beside it but the SDK of the runtime',
    async ({ name, kind }) => {
      const place = join(folder, name);
      await mkdir(join(place, 'node_modules'), { recursive: true });
      await symlink(join(ROOT, 'node_modules/@aws-sdk'), join(place, 'node_modules/@aws-sdk'));
      await writeFile(`${place}.zip`, await bundleFunction(kind));
      // Somebody else's program opens it.
      await run(join(moto.bin, 'python'), ['-m', 'zipfile', '-e', `${place}.zip`, place], {});
      await writeFile(join(place, 'run.mjs'), RUNNER);
      const arn = await secrets.create(kind === 'postgres' ? stage.secretOf() : 'old-value');
      const ClientRequestToken = await secrets.beginRotation(arn);
      const events = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'].map((Step) => ({
        SecretId: arn,
        ClientRequestToken,
        Step,
      }));
      await writeFile(join(place, 'events.json'), JSON.stringify(events));
      const { code, stderr } = await run(
        'sh',
        ['-c', `"${process.execPath}" run.mjs < events.json`],
        { ...awsEnvironment(server.url) },
        place,
      );
      // One structured line of each step, and warnings that the test's server has no TLS.
      const lines = stderr.split('\n').filter(Boolean);
      const steps = lines.map((line) => JSON.parse(line) as { level: number; step: string });
      expect(steps.filter(({ level }) => level === 30).map(({ step }) => step)).toEqual(
        events.map(({ Step }) => Step),
      );
      expect(code).toBe(0);
      expect((await secrets.stages(arn))[ClientRequestToken]).toContain('AWSCURRENT');
      if (kind === 'postgres') expect(await stage.accepts(await secrets.document(arn))).toBe(true);
    },
  );
});
