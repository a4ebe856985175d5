import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, kubectlMissing, useCluster } from './cluster.ts';

const missing = await kubectlMissing();
if (missing) process.stderr.write(`kubectl suites are skipped: ${missing}\n`);

const MANIFEST = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - { name: app, image: "app:IMAGE", env: [{ name: A, value: "1" }], ports: [{ containerPort: 80 }] }
`;

const CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: gadgets.GROUP }
spec:
  group: GROUP
  scope: Namespaced
  names: { plural: gadgets, kind: Gadget }
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: { count: { type: integer, description: How many there are. } }
`;

describe.skipIf(missing !== undefined)('kubectl', () => {
  let cluster: Cluster;
  let namespace: string;
  let folder: string;

  beforeAll(async () => {
    cluster = await useCluster();
    namespace = await cluster.namespace();
    folder = await mkdtemp(join(tmpdir(), 'rotor-kubectl-'));
  });

  const kubectl = (...args: string[]) => cluster.kubectl('--namespace', namespace, ...args);
  const manifest = async (image: string): Promise<string> => {
    const path = join(folder, 'web.yaml');
    await writeFile(path, MANIFEST.replace('IMAGE', image));
    return path;
  };

  it('makes, shows and deletes objects', async () => {
    await kubectl('create', 'secret', 'generic', 'made', '--from-literal=password=x');
    expect(await kubectl('get', 'secret', 'made')).toMatch(/NAME +TYPE +DATA +AGE\nmade +Opaque +1 +\d+s/);
    expect(await kubectl('get', 'secret', 'made', '-o', 'jsonpath={.data.password}')).toBe('eA==');
    expect(await kubectl('describe', 'secret', 'made')).toContain('password:  1 bytes');
    await kubectl('annotate', 'secret', 'made', 'rotor.test/a=b');
    await kubectl('label', 'secret', 'made', 'a=b');
    expect(await kubectl('get', 'secret', '-l', 'a=b', '-o', 'name')).toBe('secret/made\n');
    await kubectl('delete', 'secret', 'made');
    await expect(kubectl('get', 'secret', 'made')).rejects.toThrow('secrets "made" not found');
  });

  it('makes roles, and asks what they allow', async () => {
    await kubectl('create', 'role', 'reader', '--verb=get', '--resource=secrets');
    await kubectl('create', 'rolebinding', 'reader', '--role=reader', '--user=eve');
    expect(await kubectl('auth', 'can-i', 'get', 'secrets', '--as', 'eve')).toBe('yes\n');
    await expect(kubectl('get', 'secrets', '--as', 'eve')).rejects.toThrow(
      'User "eve" cannot list resource "secrets"',
    );
  });

  it('applies a manifest, on the client and on the server', async () => {
    expect(await kubectl('apply', '-f', await manifest('1'))).toBe('deployment.apps/web created\n');
    expect(await kubectl('apply', '-f', await manifest('2'))).toBe('deployment.apps/web configured\n');
    expect(await kubectl('apply', '-f', await manifest('2'))).toBe('deployment.apps/web unchanged\n');
    expect(await kubectl('get', 'deploy', 'web')).toMatch(/web +0\/2 +\d+ +0/);
    const foreign = kubectl('apply', '--server-side', '--field-manager=other', '-f', await manifest('3'));
    await expect(foreign).rejects.toThrow(
      'conflict with "kubectl-client-side-apply" using apps/v1: .spec.template.spec.containers[name="app"].image',
    );
    // kubectl takes over from its own client side without force.
    await kubectl('apply', '--server-side', '-f', await manifest('3'));
    await kubectl('set', 'image', 'deploy/web', 'app=app:4');
    await kubectl('scale', 'deploy', 'web', '--replicas=3');
    await kubectl('rollout', 'restart', 'deploy', 'web');
    const path = '{.spec.replicas} {.spec.template.spec.containers[0].image}';
    expect(await kubectl('get', 'deploy', 'web', '-o', `jsonpath=${path}`)).toBe('3 app:4');
    expect(await kubectl('describe', 'deploy', 'web')).toContain(
      'RollingUpdateStrategy:  25% max unavailable',
    );
    await kubectl('delete', '-f', await manifest('3'));
  });

  it('tells who one is, and all that one may do', async () => {
    expect(await kubectl('auth', 'whoami')).toMatch(/Groups +\[.*system:masters/);
    await kubectl('create', 'role', 'lister', '--verb=list', '--resource=configmaps');
    await kubectl('create', 'rolebinding', 'lister', '--role=lister', '--user=adam');
    expect(await kubectl('auth', 'can-i', '--list', '--as', 'adam')).toMatch(
      /configmaps +\[\] +\[\] +\[list\]/,
    );
  });

  it('makes jobs and cron jobs', async () => {
    await kubectl('create', 'job', 'once', '--image=app:1', '--', 'true');
    await kubectl('create', 'cronjob', 'daily', '--image=app:1', '--schedule=@daily', '--', 'true');
    expect(await kubectl('get', 'cronjob', 'daily', '-o', 'jsonpath={.spec.schedule}')).toBe('@daily');
    const path = '{.spec.template.spec.restartPolicy} {.spec.template.spec.containers[0].command}';
    expect(await kubectl('get', 'job', 'once', '-o', `jsonpath=${path}`)).toBe('Never ["true"]');
    await kubectl('delete', 'job/once', 'cronjob/daily');
  });

  it('explains the fields of a custom resource', async () => {
    const definition = join(folder, 'crd.yaml');
    const group = `g${namespace.slice(-10)}.test`;
    cluster.cleanUp(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.${group}`);
    await writeFile(definition, CRD.replaceAll('GROUP', group));
    await kubectl('apply', '-f', definition);
    await kubectl('wait', '--for=condition=Established', `crd/gadgets.${group}`, '--timeout=10s');
    const explained = () => kubectl('explain', 'gadgets', '--api-version', `${group}/v1`).catch(String);
    // A real server publishes a schema a moment after the kind.
    await expect.poll(explained, { timeout: 20_000 }).toContain('How many there are.');
  });

  it('waits for what it is told', async () => {
    await kubectl('create', 'configmap', 'awaited', '--from-literal=a=b');
    await kubectl('wait', '--for=jsonpath={.data.a}=b', 'configmap/awaited', '--timeout=10s');
    await kubectl('delete', 'configmap', 'awaited', '--wait=false');
    await kubectl('wait', '--for=delete', 'configmap/awaited', '--timeout=10s');
  });

  it('finds the resources and the version of the server', async () => {
    expect(await kubectl('api-resources', '--no-headers')).toMatch(
      /deployments +deploy +apps\/v1 +true +Deployment/,
    );
    expect(await kubectl('version')).toContain('Server Version: v1.');
  });
});
