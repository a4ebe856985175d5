import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { kubectlMissing } from '../sandbox/cluster.ts';
import { type Stage, setStage } from './custom-resources-stage.ts';

vi.setConfig({ testTimeout: 300_000 });

const missing = await kubectlMissing();
if (missing) process.stderr.write(`kubectl suites are skipped: ${missing}\n`);

const MANIFEST = `
apiVersion: rotor.dev/v1alpha1
kind: RotationPolicy
metadata: { name: cookie }
spec:
  credential: { random: { value: { length: 40 } } }
  store: { path: web/cookie }
  deliver: [{ secret: { name: cookie, namespaces: [NAMESPACE] } }]
  schedule: { every: 30d }
---
apiVersion: rotor.dev/v1alpha1
kind: Store
metadata: { name: shelf }
spec:
  local: { path: /nowhere }
`;

describe.skipIf(missing !== undefined)('kubectl', () => {
  let stage: Stage;
  let folder: string;

  beforeAll(async () => {
    stage = await setStage();
    folder = await mkdtemp(join(tmpdir(), 'rotor-kubectl-'));
    await stage.rotor();
  });
  afterAll(async () => {
    await stage.close();
    await rm(folder, { recursive: true, force: true });
  });

  const kubectl = (...args: string[]) => stage.cluster.kubectl('--namespace', stage.namespace, ...args);
  const file = async (text: string): Promise<string> => {
    const path = join(folder, 'manifests.yaml');
    await writeFile(path, text.replaceAll('NAMESPACE', stage.namespace));
    return path;
  };

  test('applies a policy, has it rotated by an annotation, and waits until it is ready', async () => {
    expect(await kubectl('apply', '-f', await file(MANIFEST))).toBe(
      'rotationpolicy.rotor.dev/cookie created\nstore.rotor.dev/shelf created\n',
    );
    await kubectl(
      'wait',
      '--for=condition=Accepted',
      'rotationpolicy/cookie',
      'store/shelf',
      '--timeout=25s',
    );
    await kubectl('annotate', 'rotationpolicy', 'cookie', 'rotor.dev/rotate-now=1');
    await kubectl('wait', '--for=condition=Ready', 'rotationpolicy/cookie', '--timeout=25s');
    await kubectl(
      'wait',
      '--for=jsonpath={.status.lastRotateNow}=1',
      'rotationpolicy/cookie',
      '--timeout=25s',
    );
    expect(await kubectl('get', 'secret', 'cookie', '-o', 'jsonpath={.data.value}')).not.toBe('');
  });

  test('shows state, age of the credential, last and next rotation, and more when asked', async () => {
    await kubectl(
      'wait',
      '--for=jsonpath={.status.nextRotationAt}',
      'rotationpolicy/cookie',
      '--timeout=25s',
    );
    const columns = /NAME +STATE +READY +CREDENTIAL AGE +LAST +NEXT +AGE/;
    const row = /cookie +current +True +\d+s +done +\d{4}-\d\d-\d\dT[\d:]+Z +\d+s/;
    for (const name of ['rotationpolicies', 'rp']) {
      const shown = await kubectl('get', name);
      expect(shown).toMatch(columns);
      expect(shown).toMatch(row);
    }
    const wide = await kubectl('get', 'rotationpolicies', '-o', 'wide');
    expect(wide).toMatch(/AGE +PROVIDER +STORE +REASON\n/);
    expect(wide).toMatch(/cookie .* web\/cookie +Rotated/);
    expect(await kubectl('get', 'stores.rotor.dev')).toMatch(/shelf +local +True +\d+s/);
    expect(await kubectl('get', 'rotor', '-o', 'name')).toBe(
      'rotationpolicy.rotor.dev/cookie\nstore.rotor.dev/shelf\n',
    );
  });

  test('describes a policy with its conditions and Events', async () => {
    const shown = await kubectl('describe', 'rotationpolicy', 'cookie');
    expect(shown).toMatch(/Type: +Ready/);
    expect(shown).toMatch(/State: +current/);
    expect(shown).toMatch(/Normal +RotationStarted +\d+s.* rotor +rotation \S+ was started/);
    expect(shown).toMatch(/Normal +RotationDone +\d+s.* rotor +rotation \S+ is done: version \S+ is current/);
  });

  test('tells at once what is wrong with a manifest', async () => {
    const typo = kubectl('apply', '-f', await file(MANIFEST.replace('schedule:', 'shedule:')));
    await expect(typo).rejects.toThrow('unknown field "spec.shedule"');
    const both = kubectl(
      'apply',
      '-f',
      await file(MANIFEST.replace('every: 30d', 'every: 30d, cron: "0 0 * * *"')),
    );
    await expect(both).rejects.toThrow(
      'spec.schedule: Invalid value: every excludes cron: keep one of the two',
    );
  });

  test('deletes a policy without waiting for anybody', async () => {
    await kubectl('delete', 'rotationpolicy', 'cookie', '--timeout=10s');
    await expect(kubectl('get', 'rotationpolicy', 'cookie')).rejects.toThrow('not found');
  });
});
