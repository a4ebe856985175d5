import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { SETTINGS } from '../../core/config-settings.ts';
import { unknownFields } from './fields.ts';
import {
  CHART,
  EVERYTHING,
  helm,
  KUBE,
  ofKind,
  podsOf,
  type Rendered,
  render,
  skippedWithoutHelm,
  template,
  the,
} from './helm.ts';

const skipped = skippedWithoutHelm('the suite of the chart');

/** Ways to render it that differ in which templates take part. */
const WAYS: readonly [string, object, boolean?][] = [
  ['with default values', {}],
  ['with everything switched on', {}, true],
  ['cluster-wide, following all namespaces', { rbac: { clusterWide: true }, watchNamespaces: ['*'] }],
  [
    'with an HPA, and a migration that the processes do',
    { worker: { autoscaling: { kind: 'hpa', metrics: [] } }, migration: { mode: 'auto' } },
  ],
  ['with KEDA on the ledger', { worker: { autoscaling: { kind: 'keda' } } }],
  [
    'with KEDA on a Redis cluster without password',
    {
      worker: {
        autoscaling: {
          kind: 'keda',
          keda: { trigger: 'redis', redis: { kind: 'cluster', addresses: 'a:1' } },
        },
      },
    },
  ],
  [
    'on a platform that chooses users',
    { security: { runAsUser: null, runAsGroup: null, fsGroup: null }, networkPolicy: { enabled: false } },
  ],
  ['with accounts made elsewhere', { worker: { serviceAccount: { create: false, name: 'mine' } } }],
];

describe.skipIf(skipped)('the chart', () => {
  test('passes helm lint, strictly', async () => {
    for (const values of [[], ['--values', EVERYTHING]]) {
      const { code, stdout, stderr } = await helm(['lint', '--strict', CHART, ...KUBE, ...values]);
      expect(code, stdout + stderr).toBe(0);
    }
  });

  describe.each(WAYS)('%s', (_, values, everything = false) => {
    let objects: readonly Rendered[];
    const rendered = async () => {
      objects ??= await render({ values, everything });
      return objects;
    };

    test('renders objects of which each has its own name and no field that Kubernetes does not know', async () => {
      const names = (await rendered()).map(
        ({ apiVersion, kind, metadata }) =>
          `${apiVersion} ${kind} ${metadata.namespace ?? ''}/${metadata.name}`,
      );
      expect(names.length).toBeGreaterThanOrEqual(9);
      expect(new Set(names).size).toBe(names.length);
      for (const object of objects) {
        const unknown = unknownFields(object);
        const isCustom = /(keda\.sh|monitoring\.coreos\.com)\//.test(object.apiVersion);
        expect(unknown, `${object.kind} ${object.metadata.name}`).toEqual(isCustom ? undefined : []);
      }
    });

    test('every pod keeps to the restricted profile, with a root file system that is read only', async () => {
      const pods = podsOf(await rendered());
      expect(pods.length).toBeGreaterThanOrEqual(2);
      for (const { name, template } of pods) {
        const { spec } = template;
        expect(spec.securityContext, name).toMatchObject({
          runAsNonRoot: true,
          seccompProfile: { type: 'RuntimeDefault' },
        });
        expect(spec.securityContext.runAsUser, name).not.toBe(0);
        expect([spec.hostNetwork, spec.hostPID, spec.hostIPC], name).toEqual([
          undefined,
          undefined,
          undefined,
        ]);
        const allowed = ['configMap', 'emptyDir', 'persistentVolumeClaim', 'projected', 'secret'];
        for (const volume of spec.volumes)
          expect(Object.keys(volume).filter((key) => key !== 'name' && !allowed.includes(key))).toEqual([]);
        for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
          expect(container.securityContext, name).toEqual({
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          expect(container.ports?.some((port: { hostPort?: number }) => port.hostPort) ?? false).toBe(false);
        }
      }
    });

    test('what is secret is mounted as files from Secrets that exist, never rendered and never a variable', async () => {
      expect(ofKind(await rendered(), 'Secret')).toEqual([]);
      for (const { name, template } of podsOf(objects)) {
        const [container] = template.spec.containers;
        for (const { valueFrom } of container.env) expect(valueFrom?.secretKeyRef, name).toBeUndefined();
        const named = container.env.map((each: { name: string }) => each.name);
        for (const { variable, secret } of Object.values(SETTINGS))
          if (secret) expect(named, name).not.toContain(variable);
        expect(named, name).toContain('ROTOR_DATABASE_URL_FILE');
      }
    });

    test('files that are named are mounted, and what is written is writable', async () => {
      for (const { name, template } of podsOf(await rendered())) {
        const [container] = template.spec.containers;
        const mounts: { mountPath: string; name: string; readOnly?: boolean }[] = container.volumeMounts;
        const volumes = template.spec.volumes.map((volume: { name: string }) => volume.name);
        for (const mount of mounts) expect(volumes, name).toContain(mount.name);
        for (const { name: variable, value } of container.env) {
          if (!value?.startsWith('/')) continue;
          const mount = mounts.find(
            ({ mountPath }) => value === mountPath || value.startsWith(`${mountPath}/`),
          );
          expect(mount, `${name}: ${variable}`).toBeDefined();
          expect(mount?.readOnly ?? false, variable).toBe(variable !== 'ROTOR_HOME');
        }
      }
    });

    test('every setting of ours that a pod is given exists', async () => {
      const known = new Set<string>(
        Object.values(SETTINGS).flatMap(({ variable, secret }) =>
          secret ? [variable, `${variable}_FILE`] : [variable],
        ),
      );
      for (const { name, template } of podsOf(await rendered()))
        for (const { name: variable } of template.spec.containers[0].env)
          if (variable.startsWith('ROTOR_')) expect(known.has(variable), `${name}: ${variable}`).toBe(true);
    });

    test('selectors find the pods that they mean, and nobody else', async () => {
      const pods = podsOf(await rendered());
      const found = (labels: object) =>
        pods.filter(({ template }) =>
          Object.entries(labels).every(([key, value]) => template.metadata.labels?.[key] === value),
        );
      for (const { kind, spec } of objects) {
        if (kind === 'Deployment' || kind === 'PodDisruptionBudget')
          expect(found(spec.selector.matchLabels)).toHaveLength(1);
        if (kind === 'Service') expect(found(spec.selector)).toHaveLength(1);
        if (kind === 'Service') {
          const ports = found(spec.selector)[0]?.template.spec.containers[0].ports;
          expect(ports.map((port: { name: string }) => port.name)).toContain(spec.ports[0].targetPort);
        }
      }
    });
  });

  test('tokens of ServiceAccounts are mounted only where a cluster is spoken to', async () => {
    const mounts = async (values: object) => {
      const objects = await render({ values });
      for (const account of ofKind(objects, 'ServiceAccount'))
        expect(account.automountServiceAccountToken).toBe(false);
      const of = (part: string) =>
        the(objects, 'Deployment', part).spec.template.spec.automountServiceAccountToken;
      return [of('orchestrator'), of('worker')];
    };
    const namespaces = [{ name: 'shop' }];
    expect(await mounts({})).toEqual([false, false]);
    expect(await mounts({ namespaces })).toEqual([false, true]);
    expect(await mounts({ namespaces, orchestrator: { plan: true } })).toEqual([true, true]);
    expect(await mounts({ watchNamespaces: ['shop'] })).toEqual([true, false]);
    const kubeconfig = { secret: 'clusters' };
    expect(await mounts({ namespaces, watchNamespaces: ['shop'], kubeconfig })).toEqual([false, false]);
  });

  test('a worker that ends is given longer than its lease', async () => {
    const objects = await render({ values: { settings: { leaseSeconds: 240 } } });
    const { spec } = the(objects, 'Deployment', 'worker').spec.template;
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(240);
    expect(spec.containers[0].env).toContainEqual({ name: 'ROTOR_LEASE', value: '240s' });
  });

  test('a Job that migrates has a new name when anything about it changes, for Jobs never change', async () => {
    const name = async (tag: string) =>
      the(await render({ values: { migration: { mode: 'job' }, image: { tag } } }), 'Job').metadata.name;
    expect(await name('1.0.0')).toBe(await name('1.0.0'));
    expect(await name('1.0.0')).not.toBe(await name('1.0.1'));
  });

  test('processes only look at the schema, unless the migration is theirs', async () => {
    for (const [mode, expected] of [
      ['hook', 'check'],
      ['job', 'check'],
      ['external', 'check'],
      ['auto', 'auto'],
    ]) {
      const objects = await render({ values: { migration: { mode } } });
      const { env } = the(objects, 'Deployment', 'worker').spec.template.spec.containers[0];
      expect(env).toContainEqual({ name: 'ROTOR_MIGRATE', value: expected });
      expect(ofKind(objects, 'Job')).toHaveLength(mode === 'hook' || mode === 'job' ? 1 : 0);
    }
  });

  test('with autoscaling the number of workers is nobody else’s', async () => {
    const objects = await render({ values: { worker: { autoscaling: { kind: 'hpa' } } } });
    expect(the(objects, 'Deployment', 'worker').spec.replicas).toBeUndefined();
    const { scaleTargetRef } = the(objects, 'HorizontalPodAutoscaler').spec;
    expect(scaleTargetRef.name).toBe(the(objects, 'Deployment', 'worker').metadata.name);
  });

  test('what may come in and go out is listed for every pod', async () => {
    const objects = await render({ values: { namespaces: [{ name: 'shop' }] } });
    const denied = the(objects, 'NetworkPolicy', 'default-deny').spec;
    expect(denied).toMatchObject({ policyTypes: ['Ingress', 'Egress'] });
    expect([denied.ingress, denied.egress]).toEqual([undefined, undefined]);
    const ports = (part: string) =>
      the(objects, 'NetworkPolicy', part).spec.egress.flatMap((rule: { ports: { port: number }[] }) =>
        rule.ports.map(({ port }) => port),
      );
    expect(ports('worker')).toEqual([53, 53, 5432, 443, 6443]);
    // It speaks to no cluster, so it can't.
    expect(ports('orchestrator')).toEqual([53, 53, 5432]);
    expect(ports('migration')).toEqual([53, 53, 5432]);
    expect(the(objects, 'NetworkPolicy', 'migration').spec.ingress).toBeUndefined();
  });

  test('whom the orchestrators call is listed apart from whom the workers call', async () => {
    const rule = (port: number) => ({ ports: [{ port, protocol: 'TCP' }] });
    const networkPolicy = { targets: [rule(6543)], orchestratorTargets: [rule(587)] };
    const ports = async (orchestrator: object) => {
      const objects = await render({ values: { networkPolicy, orchestrator } });
      return ['-worker', '-orchestrator', '-migration'].map((part) =>
        the(objects, 'NetworkPolicy', part).spec.egress.flatMap((each: { ports: { port: number }[] }) =>
          each.ports.map(({ port }) => port).filter((port) => port !== 53 && port !== 5432),
        ),
      );
    };
    expect(await ports({})).toEqual([[6543], [587], []]);
    expect(await ports({ plan: true })).toEqual([[6543], [587, 6543], []]);
  });

  test('the policy of a migration that is a hook is there before it, and gone after it', async () => {
    const annotations = async (mode: string) => {
      const objects = await render({ values: { migration: { mode } } });
      const job = the(objects, 'Job').metadata.annotations ?? {};
      return { job, policy: the(objects, 'NetworkPolicy', '-migration').metadata.annotations ?? {} };
    };
    const { job, policy } = await annotations('hook');
    expect({ ...policy, 'helm.sh/hook-weight': '0' }).toEqual(job);
    expect(Number(policy['helm.sh/hook-weight'])).toBeLessThan(Number(job['helm.sh/hook-weight']));
    expect(await annotations('job')).toEqual({ job: {}, policy: {} });
  });

  test('an Ingress lets through what it is told of the API, and nothing else', async () => {
    const paths = async (more: object) => {
      const ingress = { enabled: true, hosts: [{ host: 'rotor.example.com' }], ...more };
      const [rule] = the(await render({ values: { ingress } }), 'Ingress').spec.rules;
      return rule.http.paths.map(({ path }: { path: string }) => path);
    };
    expect(await paths({})).toEqual(['/v1', '/openapi.json']);
    expect(await paths({ paths: ['/v1/hooks'] })).toEqual(['/v1/hooks']);
  });

  test('nobody reaches the API when the list of those who may is empty', async () => {
    const objects = await render({ values: { networkPolicy: { api: { from: [] } } } });
    expect(the(objects, 'NetworkPolicy', 'orchestrator').spec.ingress).toBeUndefined();
  });

  test.each<[string, object, RegExp]>([
    ['an unknown name', { worker: { replica: 3 } }, /\/worker.*'replica'/],
    ['a secret in a value', { secrets: { database: { name: 'a', key: 'b', url: 'postgres://' } } }, /'url'/],
    ['no Secret for the key', { secrets: { key: { name: '', key: 'key' } } }, /\/secrets\/key\/name/],
    ['a key file that others could read', { secrets: { fileMode: 420 } }, /\/secrets\/fileMode/],
    ['root', { security: { runAsUser: 0 } }, /\/security\/runAsUser/],
    ['a lease that is too long', { settings: { leaseSeconds: 601 } }, /\/settings\/leaseSeconds/],
    ['a duration without unit', { settings: { sweepInterval: '500' } }, /\/settings\/sweepInterval/],
    ['a way of migration that is none', { migration: { mode: 'never' } }, /\/migration\/mode/],
    ['no worker at all', { worker: { autoscaling: { minReplicas: 0 } } }, /minReplicas/],
    ['a namespace without name', { namespaces: [{ secrets: ['a'] }] }, /\/namespaces\/0.*'name'/],
    ['two authorities', { certificateAuthority: { configMap: 'a', secret: 'b' } }, /\/certificateAuthority/],
    ['a password in an endpoint', { settings: { otlpEndpoint: 'http://u:p@h' } }, /otlpEndpoint/],
    ['all namespaces among others', { watchNamespaces: ['*', 'shop'] }, /\/watchNamespaces/],
    ['all namespaces without the right', { watchNamespaces: ['*'] }, /rbac\.clusterWide/],
    ['metrics for the world', { ingress: { paths: ['/metrics'] } }, /\/ingress\/paths\/0/],
    ['a command that is no path', { commands: ['reload'] }, /\/commands\/0/],
    ['a hook under an unknown name', { hooks: { senders: {} } }, /\/hooks.*'senders'/],
    ['a token for nobody', { worker: { tokens: [{ name: 'vault' }] } }, /\/worker\/tokens\/0.*'audience'/],
    [
      'fewer workers at most than at least',
      { worker: { autoscaling: { kind: 'hpa', minReplicas: 11 } } },
      /autoscaling\.minReplicas/,
    ],
    [
      'KEDA on a Redis without address',
      { worker: { autoscaling: { kind: 'keda', keda: { trigger: 'redis' } } } },
      /keda\.redis\.addresses/,
    ],
  ])('%s is refused, and the field is named', async (_, values, named) => {
    const { code, stderr } = await template({ values });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(named);
  });
});

test('a field that Kubernetes does not know is found, wherever it is', () => {
  const template = { spec: { containers: [{ name: 'a', ports: [{ port: 1 }] }] } };
  const spec = { replica: 1, selector: { matchLabels: { any: 'label' } }, template };
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a' }, spec };
  expect(unknownFields(deployment)).toEqual([
    '.spec.replica',
    '.spec.template.spec.containers[0].ports[0].port',
  ]);
});

test('the schema knows every value of values.yaml, and values.yaml every name of the schema', () => {
  const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8'));
  const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
  const ajv = new Ajv({ allErrors: true, strict: false });
  const valid = ajv.compile(schema);
  expect(valid(values), ajv.errorsText(valid.errors)).toBe(true);
  expect(missing(schema, values, schema.definitions, '')).toEqual(['.global']);
});

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** Names that the schema allows in objects of values.yaml and that stand nowhere in it: nobody would find them. */
function missing(
  schema: Schema,
  value: unknown,
  definitions: Record<string, Schema>,
  path: string,
): readonly string[] {
  const real = schema.$ref ? (definitions[schema.$ref.split('/').at(-1) ?? ''] as Schema) : schema;
  if (!real.properties || typeof value !== 'object' || value === null) return [];
  // Of Kubernetes' own types values.yaml shows what matters.
  if (schema.$ref === '#/definitions/resources') return [];
  return Object.entries(real.properties).flatMap(([name, each]) =>
    name in value
      ? missing(each, (value as Record<string, unknown>)[name], definitions, `${path}.${name}`)
      : [`${path}.${name}`],
  );
}
