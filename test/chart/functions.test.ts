import { describe, expect, test } from 'vitest';
import { readConfig } from '../../core/config.ts';
import { ofKind, type Rendered, render, skippedWithoutHelm, template, the } from './helm.ts';

const skipped = skippedWithoutHelm('how the chart lets functions in');

const workerOf = (objects: readonly Rendered[]) => the(objects, 'Deployment', 'worker').spec;
const serving = (functions: object = {}, more: object = {}) =>
  render({ values: { functions: { enabled: true, ...functions }, ...more } });

/** The worker's own configuration in a pod with this address, as the kubelet fills in variables. */
function configIn(objects: readonly Rendered[], address: string) {
  const env: { name: string; value?: string; valueFrom?: { fieldRef: { fieldPath: string } } }[] =
    workerOf(objects).template.spec.containers[0].env;
  const values = new Map<string, string>();
  for (const { name, value, valueFrom } of env)
    values.set(
      name,
      valueFrom?.fieldRef.fieldPath === 'status.podIP'
        ? address
        : (value ?? '').replaceAll(/\$\((\w+)\)/g, (all, known) => values.get(known) ?? all),
    );
  return readConfig(Object.fromEntries(values), {}, () => 'postgres://db/rotor');
}

describe.skipIf(skipped)('functions that call the workers', () => {
  test.each(['10.1.2.3', 'fd00:10::7'])(
    'each worker listens at the address of its own pod, %s',
    async (ip) => {
      const { functionsListen, functionsUrl } = configIn(await serving(), ip);
      expect([functionsListen, functionsUrl]).toEqual([{ host: ip, port: 8422 }, undefined]);
    },
  );

  test('nobody is let in but who is named, and nothing is open unless it is asked for', async () => {
    const from = [{ namespaceSelector: { matchLabels: { name: 'functions' } } }];
    const networkPolicy = { functions: { from } };
    const ingress = (objects: readonly Rendered[]) => the(objects, 'NetworkPolicy', '-worker').spec.ingress;
    const health = expect.objectContaining({ ports: [{ port: 'health', protocol: 'TCP' }] });
    expect(ingress(await serving({}, { networkPolicy }))).toEqual([
      health,
      { ports: [{ port: 'functions', protocol: 'TCP' }], from },
    ]);
    expect(ingress(await serving())).toEqual([health]);
    const off = await render({ values: { networkPolicy } });
    expect(ingress(off)).toEqual([health]);
    const [{ env, ports }] = workerOf(off).template.spec.containers;
    expect(JSON.stringify([env, ports])).not.toContain('FUNCTIONS');
  });

  test('with one address there is one worker, also during an upgrade', async () => {
    const url = 'https://functions.example.com';
    const objects = await serving({ service: true, url }, { worker: { replicas: 1 } });
    expect(workerOf(objects)).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    const { metadata, spec } = the(objects, 'Service', '-functions');
    expect(spec.ports).toEqual([expect.objectContaining({ port: 8422, targetPort: 'functions' })]);
    expect(spec.selector).toEqual(workerOf(objects).selector.matchLabels);
    // The ServiceMonitor looks for what serves metrics.
    expect(metadata.labels?.['app.kubernetes.io/component']).toBe('functions');
    expect(configIn(objects, '10.1.2.3').functionsUrl).toBe(url);
    expect(ofKind(await serving(), 'Service')).toHaveLength(1);
  });

  test.each<[string, object, RegExp]>([
    [
      'one address for several workers',
      { enabled: true, service: true },
      /functions\.service.*worker\.replicas/,
    ],
    [
      'one address from outside for several',
      { enabled: true, url: 'https://a' },
      /functions\.url.*functions\.service/,
    ],
    ['a Service of nothing', { service: true }, /functions\.enabled/],
    ['the port of somebody else', { port: 8421 }, /\/functions\/port/],
    ['a password in the address', { url: 'https://u:p@a' }, /\/functions\/url/],
  ])('%s is refused, and the field is named', async (_, functions, named) => {
    const { code, stderr } = await template({ values: { functions } });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(named);
  });
});
