import { z } from 'zod';
import { noDotSegments } from '../../../core/url-path.ts';
import { url } from '../../rollouts/reload/spec.ts';
import { secretFile } from '../secret-file.ts';
import { parseTemplate } from '../template.ts';

const template = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    const parts = parseTemplate(text);
    if ('problem' in parts) context.addIssue({ code: 'custom', message: parts.problem });
  });

const credential = z
  .strictObject({
    id: z
      .string()
      .regex(/^[\w.-]{1,255}$/, { error: 'must be letters, digits, "_", "." and "-"' })
      .refine(...noDotSegments),
    scope: z
      .enum(['GLOBAL', 'SYSTEM'])
      .default('GLOBAL')
      .describe('SYSTEM: for Jenkins itself, and no job; in the system store only'),
    usernamePassword: z.strictObject({ username: template, password: template }).optional(),
    secretText: z.strictObject({ value: template }).optional(),
    sshKey: z
      .strictObject({ username: template, privateKey: template, passphrase: template.optional() })
      .optional(),
    secretFile: z
      .strictObject({ name: z.string().regex(/^[^/\\]{1,255}$/), content: template })
      .optional()
      .describe('A file that a job gets by its name'),
  })
  .superRefine((spec, context) => {
    const kinds = [spec.usernamePassword, spec.secretText, spec.sshKey, spec.secretFile];
    if (kinds.filter((kind) => kind !== undefined).length !== 1)
      context.addIssue({
        code: 'custom',
        message: 'needs exactly one of: usernamePassword, secretText, sshKey, secretFile',
      });
  });

/** `deliver[].jenkinsCredential` of a policy. */
export const jenkinsCredentialSpec = z
  .strictObject({
    url: url.describe('Address of Jenkins, with its path if it has one'),
    folder: z
      .string()
      .regex(/^[^/?#%\\]+(\/[^/?#%\\]+)*$/, { error: 'must be a path of folders such as "shop/orders"' })
      .refine(...noDotSegments)
      .optional()
      .describe('Whose store; the system store when absent'),
    domain: z
      .string()
      .regex(/^[\w.-]+$/, { error: 'must be letters, digits, "_", "." and "-"' })
      .refine(...noDotSegments)
      .default('_')
      .describe('Domain of the store; "_" is the global one'),
    user: z.string().regex(/^[^:]+$/, { error: 'must not hold a ":"' }),
    tokenFrom: secretFile.describe(
      'API token of the user, who needs Credentials/View, Credentials/Create and Credentials/Update',
    ),
    credentials: z.array(credential).min(1).max(20).describe('Written one after the other'),
    adopt: z.boolean().default(false).describe('Take over credentials that somebody else made'),
    acknowledgeUnseen: z
      .literal(true)
      .describe('Jenkins shows no secret again: a change of it by somebody else shows nowhere'),
  })
  .superRefine((spec, context) => {
    const ids = spec.credentials.map(({ id }) => id);
    for (const [index, { id, scope }] of spec.credentials.entries()) {
      const complain = (field: string, message: string) =>
        context.addIssue({ code: 'custom', path: ['credentials', index, field], message });
      if (ids.indexOf(id) < index) complain('id', 'is taken by a credential above');
      if (scope === 'SYSTEM' && spec.folder !== undefined) complain('scope', 'must be GLOBAL in a folder');
    }
  });

export type JenkinsCredentialSpec = z.infer<typeof jenkinsCredentialSpec>;
export type JenkinsCredential = JenkinsCredentialSpec['credentials'][number];
