import { z } from 'zod';
import { githubOwner, githubRepository } from '../../../core/github.ts';
import { noDotSegments } from '../../../core/url-path.ts';
import { url } from '../../rollouts/reload/spec.ts';
import { secretFile } from '../secret-file.ts';
import { parseTemplate } from '../template.ts';

const secret = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Z_][A-Z0-9_]{0,99}$/, {
        error: 'must be capital letters, digits and "_", and begin with no digit',
      })
      .refine((name) => !name.startsWith('GITHUB_'), { error: 'must not begin with GITHUB_' }),
    value: z.string().min(1).describe('Template of its value'),
  })
  .superRefine((spec, context) => {
    const parts = parseTemplate(spec.value);
    if ('problem' in parts) context.addIssue({ code: 'custom', path: ['value'], message: parts.problem });
  });

const app = z.strictObject({
  appId: z.union([z.int().min(1), z.string().regex(/^[A-Za-z0-9.]{1,64}$/)]).describe('App id or client id'),
  installationId: z.int().min(1),
  privateKeyFrom: secretFile,
});

/** `deliver[].githubActionsSecret` of a policy. */
export const githubActionsSecretSpec = z
  .strictObject({
    apiUrl: url.default('https://api.github.com').describe('GitHub Enterprise Server: https://HOST/api/v3'),
    owner: githubOwner.describe('Owner of the repository, or the organization itself'),
    repository: githubRepository.optional().describe('A secret of the organization when absent'),
    environment: z
      .string()
      .min(1)
      .max(255)
      .refine(...noDotSegments)
      .optional()
      .describe('Of the repository'),
    dependabot: z.boolean().default(false).describe('A secret of Dependabot instead of Actions'),
    visibility: z
      .enum(['all', 'private', 'selected'])
      .optional()
      .describe('Which repositories may use a secret of the organization'),
    selectedRepositories: z.array(githubRepository).min(1).max(100).optional(),
    tokenFrom: secretFile.optional(),
    app: app.optional().describe('A GitHub App instead of a token'),
    secrets: z
      .array(secret)
      .min(1)
      .max(20)
      .describe('Written one after the other: one that holds everything is never half new'),
    adopt: z.boolean().default(false).describe('Take over secrets that somebody else made'),
  })
  .superRefine((spec, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    const { repository, environment, visibility, selectedRepositories } = spec;
    if ((spec.tokenFrom === undefined) === (spec.app === undefined))
      complain(['tokenFrom'], 'needs exactly one of: tokenFrom, app');
    if (environment !== undefined && (repository === undefined || spec.dependabot))
      complain(['environment'], 'belongs to a repository, and not to Dependabot');
    if ((repository === undefined) !== (visibility !== undefined))
      complain(['visibility'], 'is required for a secret of the organization, and belongs to no other');
    if ((visibility === 'selected') !== (selectedRepositories !== undefined))
      complain(['selectedRepositories'], 'belongs to visibility "selected", which needs it');
    const names = spec.secrets.map(({ name }) => name);
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) < index) complain(['secrets', index, 'name'], 'is taken by a secret above');
    }
  });

export type GithubActionsSecretSpec = z.infer<typeof githubActionsSecretSpec>;
export type GithubSecret = GithubActionsSecretSpec['secrets'][number];
