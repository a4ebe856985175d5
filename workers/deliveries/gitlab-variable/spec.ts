import { z } from 'zod';
import { url } from '../../rollouts/reload/spec.ts';
import { secretFile } from '../secret-file.ts';
import { parseTemplate } from '../template.ts';

/** Id, or path as it stands in the address. */
const place = z.union([
  z.int().min(1),
  z
    .string()
    .regex(/^[A-Za-z0-9_][\w.-]*(\/[\w.-]+)*$/, { error: 'must be an id or a path such as "shop/orders"' }),
]);

const variable = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z0-9_]{1,255}$/, { error: 'must be letters, digits and "_"' }),
    value: z.string().min(1).describe('Template of its value'),
    masked: z.boolean().default(true).describe('Hidden in the logs of jobs'),
    hidden: z
      .boolean()
      .default(false)
      .describe('Masked, and shown to nobody again, Rotor included; for new variables only'),
    raw: z.boolean().default(true).describe('What looks like a variable in the value is not expanded'),
    protected: z.boolean().default(false).describe('For protected branches and tags only'),
    type: z.enum(['env_var', 'file']).default('env_var'),
  })
  .superRefine((spec, context) => {
    const complain = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    const parts = parseTemplate(spec.value);
    if ('problem' in parts) return complain('value', parts.problem);
    if (spec.hidden && !spec.masked) complain('masked', 'must be true where `hidden` is');
    if (spec.masked && parts.some((part) => typeof part === 'string' && /\s/.test(part)))
      complain(
        'value',
        'holds a blank or line break, which GitLab never masks: write `masked: false`, or leave it out',
      );
  });

/** `deliver[].gitlabVariable` of a policy. */
export const gitlabVariableSpec = z
  .strictObject({
    url: url.default('https://gitlab.com').describe('Address of GitLab, without /api/v4'),
    project: place.optional(),
    group: place.optional(),
    environmentScope: z.string().min(1).max(255).default('*'),
    tokenFrom: secretFile.describe(
      'Access token with the scope "api" and the role Maintainer (groups: Owner)',
    ),
    variables: z
      .array(variable)
      .min(1)
      .max(20)
      .describe('Written one after the other: one that holds everything is never half new'),
    adopt: z.boolean().default(false).describe('Take over variables that somebody else made'),
    acknowledgeUnseen: z
      .boolean()
      .default(false)
      .describe('Needed for `hidden`: a change of its value by somebody else shows nowhere'),
  })
  .superRefine((spec, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    if ((spec.project === undefined) === (spec.group === undefined))
      complain(['project'], 'needs exactly one of: project, group');
    if (!spec.acknowledgeUnseen && spec.variables.some(({ hidden }) => hidden))
      complain(['acknowledgeUnseen'], 'must be true for a hidden variable, whose value nobody can read back');
    const names = spec.variables.map(({ name }) => name);
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) < index) complain(['variables', index, 'name'], 'is taken by a variable above');
    }
  });

export type GitlabVariableSpec = z.infer<typeof gitlabVariableSpec>;
export type GitlabVariable = GitlabVariableSpec['variables'][number];
