import { urlPart } from '../../../core/url-path.ts';
import type { GithubActionsSecretSpec } from './spec.ts';

type Where = Pick<GithubActionsSecretSpec, 'owner' | 'repository' | 'environment' | 'dependabot'>;

/** Where GitHub's REST API keeps what, and which permission it asks for there. */
export interface Places {
  /** For people: `repository acme/shop`. */
  readonly name: string;
  /** Below it: `/public-key`, `/{name}`. */
  readonly secrets: string;
  /** Where the records are: Actions variables, since Dependabot has none. */
  readonly variables: string;
  /** As GitHub names it to people who make tokens, and as it stands in `permissions` of an installation. */
  readonly secretsPermission: readonly [words: string, key: string];
  readonly variablesPermission: readonly [words: string, key: string];
}

/**
 * docs.github.com, "REST API endpoints for GitHub Actions Secrets", "... for GitHub Actions variables", "... for Dependabot
 * secrets"; "Permissions required for fine-grained personal access tokens".
 */
export function placesOf({ owner, repository, environment, dependabot }: Where): Places {
  const kind = dependabot ? 'dependabot' : 'actions';
  if (repository === undefined) {
    const base = `/orgs/${urlPart(owner)}`;
    return {
      name: `organization ${owner}`,
      secrets: `${base}/${kind}/secrets`,
      variables: `${base}/actions/variables`,
      secretsPermission: dependabot
        ? ['"Organization dependabot secrets: write"', 'organization_dependabot_secrets']
        : ['the organization permission "Secrets: write"', 'organization_secrets'],
      variablesPermission: [
        'the organization permission "Variables: write"',
        'organization_actions_variables',
      ],
    };
  }
  const base = `/repos/${urlPart(owner)}/${urlPart(repository)}`;
  if (environment !== undefined) {
    const inside = `${base}/environments/${urlPart(environment)}`;
    return {
      name: `environment ${environment} of ${owner}/${repository}`,
      secrets: `${inside}/secrets`,
      variables: `${inside}/variables`,
      secretsPermission: ['"Environments: write"', 'environments'],
      variablesPermission: ['"Environments: write"', 'environments'],
    };
  }
  return {
    name: `repository ${owner}/${repository}`,
    secrets: `${base}/${kind}/secrets`,
    variables: `${base}/actions/variables`,
    secretsPermission: dependabot
      ? ['"Dependabot secrets: write"', 'dependabot_secrets']
      : ['"Secrets: write"', 'secrets'],
    variablesPermission: ['"Variables: write"', 'actions_variables'],
  };
}
