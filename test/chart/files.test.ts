import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseHooks } from '../../orchestrator/intake/hooks-file.ts';
import { loadAllowedCommands } from '../../workers/rollouts/reload/allowed-commands.ts';
import { type Rendered, render, skippedWithoutHelm, the } from './helm.ts';

const skipped = skippedWithoutHelm('what the chart puts into files');

const podOf = (objects: readonly Rendered[], part: string) => the(objects, 'Deployment', part).spec.template;
const environmentOf = (objects: readonly Rendered[], part: string) =>
  podOf(objects, part).spec.containers[0].env as { name: string; value?: string }[];
const mountOf = (objects: readonly Rendered[], part: string, path: string) =>
  podOf(objects, part).spec.containers[0].volumeMounts.find(
    ({ mountPath }: { mountPath: string }) => mountPath === path,
  );

describe.skipIf(skipped)('files that the chart makes', () => {
  test('hooks are what ROTOR_HOOKS_FILE may hold, for the orchestrators alone', async () => {
    const objects = await render({ everything: true });
    const text = the(objects, 'ConfigMap', '-hooks').data['hooks.yaml'];
    const { sources, queues } = parseHooks(text, 'hooks.yaml');
    expect([...sources.keys(), ...queues.map(({ name }) => name)]).toEqual(['github-org', 'aws']);
    const file = { name: 'ROTOR_HOOKS_FILE', value: '/etc/rotor/hooks/hooks.yaml' };
    expect(environmentOf(objects, 'orchestrator')).toContainEqual(file);
    expect(environmentOf(objects, 'worker')).not.toContainEqual(file);
    const { settings } = sources.get('github-org') ?? {};
    const [{ file: named = '' } = {}] = (settings as { secretsFrom: { file: string }[] }).secretsFrom;
    expect(mountOf(objects, 'orchestrator', named.replace(/\/[^/]+$/, ''))).toMatchObject({ readOnly: true });
    expect(mountOf(objects, 'worker', named.replace(/\/[^/]+$/, ''))).toBeUndefined();
  });

  test('commands are what ROTOR_COMMANDS_FILE may hold, for the workers alone', async () => {
    const objects = await render({ everything: true });
    const folder = await mkdtemp(join(tmpdir(), 'rotor-commands-'));
    try {
      const file = join(folder, 'commands');
      await writeFile(file, the(objects, 'ConfigMap', '-commands').data.commands, { mode: 0o444 });
      expect(await loadAllowedCommands(file)).toEqual([
        ['/usr/bin/python3', '/opt/rotation/lambda_function.py'],
        ['/opt/rotation/reload'],
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
    const named = { name: 'ROTOR_COMMANDS_FILE', value: '/etc/rotor/commands/commands' };
    expect(environmentOf(objects, 'worker')).toContainEqual(named);
    expect(environmentOf(objects, 'orchestrator')).not.toContainEqual(named);
    // Killed programs are waited for by the pod, since Node waits for its own children only.
    expect(podOf(objects, 'worker').spec.shareProcessNamespace).toBe(true);
    const without = podOf(await render(), 'worker');
    expect(without.spec.shareProcessNamespace).toBeUndefined();
  });

  test('pods begin anew when what they read at start changes, and only those that read it', async () => {
    const marks = async (values: object) => {
      const objects = await render({ values });
      return ['worker', 'orchestrator'].map(
        (part) => podOf(objects, part).metadata.annotations?.['rotor.dev/configuration'],
      );
    };
    expect(await marks({})).toEqual([undefined, undefined]);
    const [first, none] = await marks({ commands: ['/bin/a'] });
    const [second] = await marks({ commands: ['/bin/b'] });
    expect([typeof first, first === second, none]).toEqual(['string', false, undefined]);
    const [, hooked] = await marks({ hooks: { sources: { partner: { githubPartner: {} } } } });
    expect(hooked).toMatch(/^[0-9a-f]{16}$/);
  });

  test('tokens for others than the cluster are projected for their audience, and the cluster’s own stays away', async () => {
    const tokens = [{ name: 'vault', audience: 'https://vault.example.com' }];
    const objects = await render({ values: { worker: { tokens } } });
    const { spec } = podOf(objects, 'worker');
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(mountOf(objects, 'worker', '/var/run/secrets/rotor')).toMatchObject({ readOnly: true });
    expect(spec.volumes.find(({ name }: { name: string }) => name === 'tokens').projected.sources).toEqual([
      {
        serviceAccountToken: {
          path: 'vault/token',
          audience: 'https://vault.example.com',
          expirationSeconds: 3600,
        },
      },
    ]);
    expect(mountOf(objects, 'orchestrator', '/var/run/secrets/rotor')).toBeUndefined();
  });
});
