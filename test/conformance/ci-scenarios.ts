import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { githubActionsSecretDelivery } from '../../workers/deliveries/github-actions-secret/delivery.ts';
import { gitlabVariableDelivery } from '../../workers/deliveries/gitlab-variable/delivery.ts';
import { httpSinkDelivery } from '../../workers/deliveries/http-sink/delivery.ts';
import { jenkinsCredentialDelivery } from '../../workers/deliveries/jenkins-credential/delivery.ts';
import { GithubActionsDouble } from '../doubles/github-actions.ts';
import { GitlabDouble } from '../doubles/gitlab.ts';
import { JenkinsDouble } from '../doubles/jenkins.ts';
import { SinkDouble } from '../doubles/sink.ts';
import type { DeliveryScenario } from './deliveries-scenarios.ts';

/** A file with a secret in it, gone with the test. */
export async function aSecretFile(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rotor-ci-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'secret');
  await writeFile(file, `${text}\n`, { mode: 0o600 });
  return file;
}

export async function intoSink(how: 'verified' | 'unseen', options: object = {}): Promise<DeliveryScenario> {
  const sink = await new SinkDouble('sink-token').listen();
  onTestFinished(() => sink.stop());
  const file = await aSecretFile('sink-token');
  const looks =
    how === 'verified'
      ? { verify: { url: `${sink.url}/version`, pointer: '/database/version' } }
      : { acknowledgeUnseen: true };
  const open = (more: object) =>
    httpSinkDelivery.open(
      httpSinkDelivery.spec.parse({
        url: `${sink.url}/take`,
        headersFrom: { Authorization: { file, prefix: 'Bearer ' } },
        ...looks,
        ...options,
        ...more,
      }),
    );
  return {
    session: open({}),
    read: () => soon(() => sink.held),
    tamper: async () => {
      sink.held = 'edited by hand';
      sink.version = 'by-hand';
    },
    unreachable: openWithout(open),
    refusedAs: 'reference.unresolved',
  };
}

export const GITLAB_TOKEN = 'glpat-double';

export async function aGitlab(options: object = {}) {
  const gitlab = await new GitlabDouble(GITLAB_TOKEN).listen();
  onTestFinished(() => gitlab.stop());
  const tokenFrom = { file: await aSecretFile(GITLAB_TOKEN) };
  const open = (more: object = {}) => {
    const written = {
      url: gitlab.url,
      project: 'shop/orders',
      tokenFrom,
      variables: [{ name: 'ORDERS_DB', value: '{"user":{{username|json}},"password":{{password|json}}}' }],
      ...options,
      ...more,
    };
    return gitlabVariableDelivery.open(gitlabVariableDelivery.spec.parse(written));
  };
  return { gitlab, open };
}

export async function intoGitlab(options: object = {}): Promise<DeliveryScenario> {
  const { gitlab, open } = await aGitlab(options);
  const held = () => gitlab.variables[0];
  return {
    session: open(),
    read: () => soon(() => held()?.value),
    tamper: async () => {
      const variable = held();
      if (!variable) throw new Error('nothing was delivered');
      // The value of a hidden one can't be compared: there, its protection is taken away.
      if (variable.hidden) variable.protected = !variable.protected;
      else variable.value = 'edited-by-hand';
    },
    longest: 9_000,
    unreachable: open({ project: 'shop/gone', group: undefined }),
    refusedAs: 'delivery.not-found',
  };
}

export const GITHUB_TOKEN = 'ghp-double';

export async function aGithub(options: object = {}) {
  const github = await new GithubActionsDouble(GITHUB_TOKEN).listen();
  onTestFinished(() => github.stop());
  const tokenFrom = { file: await aSecretFile(GITHUB_TOKEN) };
  const delivery = githubActionsSecretDelivery();
  const open = (more: object = {}) => {
    const written = {
      apiUrl: github.url,
      owner: 'acme',
      repository: 'shop',
      tokenFrom,
      secrets: [{ name: 'ORDERS_DB', value: '{"user":{{username|json}},"password":{{password|json}}}' }],
      ...options,
      ...more,
    };
    return delivery.open(delivery.spec.parse(written));
  };
  return { github, open };
}

export async function intoGithub(options: object = {}): Promise<DeliveryScenario> {
  const { github, open } = await aGithub(options);
  return {
    session: open(),
    read: () => soon(() => [...github.secrets.values()][0]?.value),
    tamper: async () => github.edit([...github.secrets.keys()][0] ?? '', 'edited by hand'),
    longest: 40_000,
    unreachable: open({
      repository: 'gone',
      environment: undefined,
      visibility: undefined,
      selectedRepositories: undefined,
    }),
    refusedAs: 'delivery.not-found',
  };
}

export const JENKINS_TOKEN = 'jenkins-double';

export async function aJenkins(options: object = {}) {
  const jenkins = await new JenkinsDouble('rotor', JENKINS_TOKEN).listen();
  onTestFinished(() => jenkins.stop());
  const tokenFrom = { file: await aSecretFile(JENKINS_TOKEN) };
  const open = (more: object = {}) => {
    const written = {
      url: jenkins.url,
      user: 'rotor',
      tokenFrom,
      credentials: [
        { id: 'orders-db', usernamePassword: { username: '{{username}}', password: '{{password}}' } },
      ],
      acknowledgeUnseen: true,
      ...options,
      ...more,
    };
    return jenkinsCredentialDelivery.open(jenkinsCredentialDelivery.spec.parse(written));
  };
  return { jenkins, open };
}

/** @param field in which Jenkins keeps the secret of that kind */
export async function intoJenkins(field: string, options: object = {}): Promise<DeliveryScenario> {
  const { jenkins, open } = await aJenkins(options);
  return {
    session: open(),
    read: () => soon(() => jenkins.text([...jenkins.credentials.keys()][0] ?? '', field)),
    // The secret can't be compared: whose it is, is changed.
    tamper: async () => {
      for (const kept of jenkins.credentials.values())
        kept.xml = kept.xml.replace(/form \w+/, 'form another');
    },
    unreachable: open({ folder: 'shop/gone' }),
    refusedAs: 'delivery.not-found',
  };
}

/** Looks at a double in this process, and lets it answer others between two looks. */
async function soon(held: () => string | undefined): Promise<Buffer | undefined> {
  await setImmediate();
  const text = held();
  return text === undefined ? undefined : Buffer.from(text);
}

/** One whose token is nowhere. */
function openWithout(open: (more: object) => DeliveryScenario['session']): DeliveryScenario['session'] {
  return open({
    headersFrom: { authorization: { file: '/nowhere/at/all' } },
    verify: undefined,
    acknowledgeUnseen: true,
  });
}
