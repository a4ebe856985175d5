import { expect, test } from 'vitest';
import type { z } from 'zod';
import { vaultServer } from '../../core/vault/server.ts';
import { providerSpec as vaultDatabase } from '../../rotators/vault-database/spec.ts';
import { conjurSpec } from '../../stores/conjur/spec.ts';
import { vaultSpec } from '../../stores/vault/spec.ts';
import { githubActionsSecretSpec } from '../../workers/deliveries/github-actions-secret/spec.ts';
import { gitlabVariableSpec } from '../../workers/deliveries/gitlab-variable/spec.ts';
import { jenkinsCredentialSpec } from '../../workers/deliveries/jenkins-credential/spec.ts';
import { customVault } from '../incidents/runbook-schema.ts';

const credential = (id: string) => [{ id, secretText: { value: '{password}' } }];

test.each<[string, z.ZodType, (name: string) => object, string]>([
  ['leases of Vault', customVault, (name) => ({ revokePrefix: `a/${name}/seal` }), 'revokePrefix'],
  ['a connection of Vault', customVault, (name) => ({ rotateRoot: `${name}/shop` }), 'rotateRoot'],
  ['a mount of Vault', vaultSpec, (name) => ({ mount: `team/${name}` }), 'mount'],
  ['a folder of versions', vaultSpec, (name) => ({ versionsPath: name }), 'versionsPath'],
  ['an engine of Vault', vaultDatabase, (name) => ({ mount: name }), 'mount'],
  [
    'a login at Vault',
    vaultServer.auth,
    (mount) => ({ jwt: { role: 'r', from: { file: '/t' }, mount } }),
    'jwt.mount',
  ],
  ['an account of Conjur', conjurSpec, (account) => ({ account }), 'account'],
  ['a login at Conjur', conjurSpec, (login) => ({ auth: { apiKey: { login } } }), 'auth.apiKey.login'],
  ['a folder of Jenkins', jenkinsCredentialSpec, (name) => ({ folder: `shop/${name}` }), 'folder'],
  ['a domain of Jenkins', jenkinsCredentialSpec, (domain) => ({ domain }), 'domain'],
  [
    'a credential of Jenkins',
    jenkinsCredentialSpec,
    (id) => ({ credentials: credential(id) }),
    'credentials.0.id',
  ],
  ['an environment of GitHub', githubActionsSecretSpec, (environment) => ({ environment }), 'environment'],
  ['a repository of GitHub', githubActionsSecretSpec, (repository) => ({ repository }), 'repository'],
  ['a project of GitLab', gitlabVariableSpec, (project) => ({ project }), 'project'],
])('%s is not named by "." and ".."', (_, schema, spec, field) => {
  const complained = (name: string) =>
    schema.safeParse(spec(name)).error?.issues.map(({ path }) => path.join('.')) ?? [];
  for (const name of ['.', '..']) expect(complained(name)).toContain(field);
  expect(complained('x..y')).not.toContain(field);
});
