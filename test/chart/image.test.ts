import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { serveApi } from '../../orchestrator/api/serve.ts';
import { CHART } from './helm.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8'));
const values = readFileSync(join(CHART, 'values.yaml'), 'utf8');

interface Instruction {
  readonly name: string;
  readonly text: string;
}

interface Stage {
  readonly base: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** A Dockerfile as its stages; lines that end with a backslash go on. */
function stagesOf(text: string): readonly Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !/^\s*#/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    expect(name, `a line of the Dockerfile that is no instruction: ${line}`).not.toBe('');
    if (name === 'FROM') {
      const [base = '', , as] = rest.split(/\s+/);
      stages.push({ base, name: as, instructions: [] });
    } else stages.at(-1)?.instructions.push({ name, text: rest });
  }
  return stages;
}

const dockerfile = readFileSync(join(PROJECT, 'Dockerfile'), 'utf8');
const stages = stagesOf(dockerfile);
const image = stages.at(-1) as Stage;
const of = (stage: Stage, name: string) =>
  stage.instructions.filter((each) => each.name === name).map(({ text }) => text);

test('its base is pinned to the version of Node that the tests run with', () => {
  const base = /^ARG NODE_IMAGE=(\S+)$/m.exec(dockerfile)?.[1] ?? '';
  expect(base).toMatch(/^node:(\d+\.\d+\.\d+)-[a-z]+-slim$/);
  expect(base).toContain(manifest.devDependencies.node);
  for (const stage of stages) expect(stage.base).toBe(`$${'{NODE_IMAGE}'}`);
  // Also when another one is given to the build.
  expect(of(image, 'LABEL')[0]).toContain('base.name="$' + '{NODE_IMAGE}"');
  expect(of(image, 'ARG')).toContain('NODE_IMAGE');
});

test('it runs as a user that is a number and not root, the one that the chart names', () => {
  const [user] = of(image, 'USER');
  expect(of(image, 'USER')).toHaveLength(1);
  expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  const after = image.instructions.slice(image.instructions.findIndex(({ name }) => name === 'USER'));
  expect(after.map(({ name }) => name)).not.toContain('RUN');
  for (const field of ['runAsUser', 'runAsGroup', 'fsGroup'])
    expect(values).toContain(`${field}: ${user?.split(':')[0]}\n`);
});

test('everything that is copied exists, and is let through by .dockerignore', () => {
  const ignore = readFileSync(join(PROJECT, '.dockerignore'), 'utf8').split('\n');
  expect(ignore.find((line) => line !== '' && !line.startsWith('#'))).toBe('*');
  const names = stages.map(({ name }) => name);
  for (const stage of stages) {
    for (const copied of of(stage, 'COPY')) {
      const from = /^--from=(\S+) /.exec(copied)?.[1];
      if (from !== undefined) {
        expect(names).toContain(from);
        continue;
      }
      for (const source of copied.split(/\s+/).slice(0, -1)) {
        expect(existsSync(join(PROJECT, source)), source).toBe(true);
        expect(ignore, source).toContain(`!${source}`);
      }
    }
  }
});

test('every folder that the build compiles is copied', () => {
  const { include } = JSON.parse(readFileSync(join(PROJECT, 'tsconfig.build.json'), 'utf8'));
  const build = stages.find(({ name }) => name === 'build') as Stage;
  for (const folder of include) expect(of(build, 'COPY')).toContain(`${folder} ./${folder}`);
});

test('what it runs is what package.json builds and publishes', () => {
  const build = stages.find(({ name }) => name === 'build') as Stage;
  const [, script] = /(scripts\/\S+)$/.exec(manifest.scripts.build) ?? [];
  expect(of(build, 'RUN').map((text) => text.replaceAll(/[",[\]]/g, ''))).toContain(`node ${script}`);
  expect(of(image, 'ENTRYPOINT')).toEqual([`["node", "/app/${manifest.bin.rotor}"]`]);
});

test('dependencies are those of the lock file, without what is for development, and no script of theirs runs', () => {
  const installs = stages.flatMap((stage) =>
    of(stage, 'RUN').filter((text) => /npm.*\b(ci|install)\b/.test(text)),
  );
  expect(installs).toHaveLength(2);
  for (const install of installs) expect(install).toMatch(/"ci".*"--ignore-scripts"/);
  const kept = of(image, 'COPY').find((text) => text.includes('node_modules')) ?? '';
  const source = stages.find(({ name }) => kept.startsWith(`--from=${name} `)) as Stage;
  expect(of(source, 'RUN').join('\n')).toMatch(/"--omit=dev"/);
});

test('what the program imports is in the image: no dependency of development, and none that is optional', () => {
  const build = JSON.parse(readFileSync(join(PROJECT, 'tsconfig.build.json'), 'utf8')) as {
    include: string[];
  };
  const imported = new Set<string>();
  for (const folder of build.include)
    for (const file of readdirSync(join(PROJECT, folder), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
      const text = readFileSync(join(PROJECT, folder, file), 'utf8');
      for (const [, name = ''] of text.matchAll(
        /^(?:import|export)[^;]*? from '((?:@[\w.-]+\/)?[a-z][\w.-]*)[^']*';/gm,
      ))
        imported.add(name);
      for (const [, name = ''] of text.matchAll(/\bimport\('((?:@[\w.-]+\/)?[a-z][\w.-]*)/g))
        imported.add(name);
    }
  expect(imported.size).toBeGreaterThan(20);
  expect(Object.keys(manifest.dependencies)).toEqual(
    expect.arrayContaining([...imported].filter((name) => name !== 'node')),
  );
});

test('it brings its own bill of materials, and labels that say where and what', () => {
  const [labels = ''] = of(image, 'LABEL');
  for (const name of ['title', 'description', 'licenses', 'version', 'revision', 'created', 'base.name'])
    expect(labels).toContain(`org.opencontainers.image.${name}=`);
  const [, path = ''] = /dev\.rotor\.sbom\.path="\/app\/([^"]+)"/.exec(labels) ?? [];
  expect(of(image, 'COPY').some((text) => text.includes(path))).toBe(true);
  expect(stages.flatMap((stage) => of(stage, 'RUN')).join('\n')).toMatch(
    new RegExp(`npm sbom .*--sbom-format cyclonedx .*> ${path}`),
  );
  expect(labels).toContain(`"${manifest.license}"`);
});

test('no secret is in it: none is an argument, a variable or a file', () => {
  for (const stage of stages) {
    for (const name of ['ARG', 'ENV'])
      expect(of(stage, name).join('\n')).not.toMatch(/(password|token|secret|_URL|KEY_FILE)/i);
    expect(of(stage, 'ADD')).toEqual([]);
  }
});

test('a pod of the chart finds in it what it names', () => {
  const environment = of(image, 'ENV').join(' ');
  expect(environment).toContain('ROTOR_HOME=/var/lib/rotor');
  expect(environment).toContain('ROTOR_MODE=production');
  expect(of(image, 'STOPSIGNAL')).toEqual(['SIGTERM']);
});

test('no program in it makes anybody somebody else, and none is kept that installs others', () => {
  const runs = of(image, 'RUN').map((text) => JSON.parse(text) as string[]);
  expect(runs).toContainEqual([
    'find',
    '/',
    '-xdev',
    '-type',
    'f',
    '-perm',
    '/6000',
    '-exec',
    'chmod',
    'a-s',
    '{}',
    '+',
  ]);
  expect(runs.flat()).toEqual(expect.arrayContaining(['/usr/local/bin/npm', '/usr/local/lib/node_modules']));
});

describe('its health check', () => {
  const [check = ''] = of(image, 'HEALTHCHECK');
  const [program, ...args] = JSON.parse(/CMD (\[.*\])$/.exec(check)?.[1] ?? '[]') as string[];
  const exitOf = async (env: Record<string, string>) => {
    expect(program).toBe('node');
    const child = spawn(process.execPath, args, { env, stdio: 'ignore' });
    const [code] = await once(child, 'exit');
    return code;
  };

  test('asks whoever was given an address, and nobody else', async () => {
    let well = true;
    const api = { fetch: () => new Response('', { status: well ? 200 : 503 }) };
    const served = await serveApi(api, { host: '127.0.0.1', port: 0 });
    const at = `0.0.0.0:${new URL(served.url).port}`;
    expect(await exitOf({})).toBe(0);
    expect(await exitOf({ ROTOR_LISTEN: at })).toBe(0);
    // A worker with the variables of an orchestrator, too.
    expect(await exitOf({ ROTOR_LISTEN: '0.0.0.0:1', ROTOR_HEALTH_LISTEN: at })).toBe(0);
    well = false;
    expect(await exitOf({ ROTOR_HEALTH_LISTEN: at })).toBe(1);
    await served.close();
    expect(await exitOf({ ROTOR_LISTEN: at })).toBe(1);
  });
});
