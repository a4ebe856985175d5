import { chmod, lstat, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ErrorCode } from '../../core/error-codes.ts';
import type { DeliverySession } from '../../workers/deliveries/delivery.ts';
import { fileDelivery } from '../../workers/deliveries/file/delivery.ts';
import { intoGithub, intoGitlab, intoJenkins, intoSink } from './ci-scenarios.ts';
import { intoSecrets } from './cluster-scenarios.ts';
import { byExternalSecret, byPushSecret } from './external-secrets-scenarios.ts';
import { byProviderClass } from './provider-class-scenarios.ts';

/** What the kit needs of a delivery: one fresh target, looked at and disturbed the way consumers and people do. */
export interface DeliveryScenario {
  readonly session: DeliverySession;
  /** What a consumer reads there now; undefined when nothing is there. */
  read(): Promise<Buffer | undefined>;
  /** Changes what is there by hand. */
  tamper(): Promise<void>;
  /** An earlier version stays beside the new one until it is dead. */
  readonly keepsVersions?: boolean;
  /** The longest password that the target takes, where that is less than the kit's. */
  readonly longest?: number;
  /** A session whose target can't be written. */
  readonly unreachable: DeliverySession;
  /** How that is refused. */
  readonly refusedAs: ErrorCode;
}

/** As `kubectl create secret docker-registry` makes it. */
const DOCKER = {
  type: 'kubernetes.io/dockerconfigjson',
  data: {
    '.dockerconfigjson':
      '{"auths":{"{{host}}":{"username":{{username|json}},"password":{{password|json}},"auth":"{{username + ":" + password | base64}}"}}}',
  },
};

/** One entry per registered delivery and mode, by kind. A delivery without one fails the suite. */
export const deliveryScenarios: Readonly<
  Record<string, Readonly<Record<string, () => Promise<DeliveryScenario>>>>
> = {
  file: {
    json: () => file({ format: 'json' }),
    env: () => file({ format: 'env', mode: '0640' }),
    raw: () => file({ format: 'raw', field: 'password', mode: '0400' }),
    template: () =>
      file({ format: 'template', template: 'u={{username}} p={{password|url}} v={{versionId}}\n' }),
  },
  secret: {
    Opaque: () => intoSecrets(),
    versioned: () => intoSecrets({ style: 'versioned' }),
    'basic-auth': () => intoSecrets({ type: 'kubernetes.io/basic-auth' }),
    template: () =>
      intoSecrets({
        data: { dsn: 'postgres://{{username|url}}:{{password|url}}@{{host}}/', v: '{{versionId}}' },
      }),
    'ssh-auth': () =>
      intoSecrets({ type: 'kubernetes.io/ssh-auth', data: { 'ssh-privatekey': '{{password}}' } }),
    tls: () =>
      intoSecrets({
        type: 'kubernetes.io/tls',
        data: { 'tls.crt': '{{username}}', 'tls.key': '{{password}}' },
      }),
    dockerconfigjson: () => intoSecrets(DOCKER),
    'dockerconfigjson versioned': () => intoSecrets({ ...DOCKER, style: 'versioned' }),
    dockercfg: () =>
      intoSecrets({
        type: 'kubernetes.io/dockercfg',
        data: { '.dockercfg': '{"{{host}}":{"username":{{username|json}},"password":{{password|json}}}}' },
      }),
    adopted: () => intoSecrets({ adopt: true }, 'theirs'),
  },
  gitlabVariable: {
    'of a project': () => intoGitlab(),
    'of a group': () => intoGitlab({ project: undefined, group: 'shop', environmentScope: 'production' }),
    file: () =>
      intoGitlab({
        variables: [
          { name: 'ORDERS_DB', value: '{{password}}\n', type: 'file', masked: false, protected: true },
        ],
      }),
    hidden: () =>
      intoGitlab({
        variables: [{ name: 'ORDERS_DB', value: '{{password}}', hidden: true }],
        acknowledgeUnseen: true,
      }),
  },
  githubActionsSecret: {
    'of a repository': () => intoGithub(),
    'of an environment': () => intoGithub({ environment: 'production' }),
    'of an organization': () =>
      intoGithub({ repository: undefined, visibility: 'selected', selectedRepositories: ['shop', 'web'] }),
    'of Dependabot': () => intoGithub({ dependabot: true }),
  },
  jenkinsCredential: {
    'user and password': () => intoJenkins('password'),
    'secret text, in a folder': () =>
      intoJenkins('secret', {
        folder: 'shop/orders',
        domain: 'ci',
        credentials: [{ id: 'orders-db', secretText: { value: 'u={{username}} p={{password}}' } }],
      }),
    'SSH key': () =>
      intoJenkins('privateKey', {
        credentials: [
          {
            id: 'k',
            sshKey: {
              username: '{{username}}',
              privateKey: 'KEY\r\n{{password}}\n',
              passphrase: '{{password}}',
            },
          },
        ],
      }),
    'secret file': () =>
      intoJenkins('secretBytes', {
        credentials: [{ id: 'f', secretFile: { name: 'db.env', content: 'PASSWORD={{password}}\n' } }],
      }),
  },
  externalSecret: {
    'keys named like fields': () => byExternalSecret(),
    template: () =>
      byExternalSecret({ data: { url: 'postgres://{{username}}:{{password}}@{{host}}/' } }, 'db-credentials'),
  },
  pushSecret: { 'of a delivered Secret': () => byPushSecret() },
  secretProviderClass: { 'ids of the store': () => byProviderClass() },
  httpSink: {
    verified: () => intoSink('verified'),
    unseen: () => intoSink('unseen'),
    template: () => intoSink('verified', { method: 'PUT', body: '{"password":{{password|json}}}' }),
  },
};

async function file(options: object): Promise<DeliveryScenario> {
  const path = join(await mkdtemp(join(tmpdir(), 'rotor-delivery-')), 'db.secret');
  const open = (at: string) => fileDelivery.open(fileDelivery.spec.parse({ path: at, ...options }));
  return {
    session: open(path),
    read: () => readFile(path).catch(() => undefined),
    tamper: async () => {
      const { mode } = await lstat(path);
      await chmod(path, 0o600);
      await writeFile(path, 'edited by hand');
      await chmod(path, mode);
    },
    unreachable: open('/nowhere/at/all/db.secret'),
    refusedAs: 'delivery.failed',
  };
}
