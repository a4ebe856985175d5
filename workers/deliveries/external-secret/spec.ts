import { z } from 'zod';

import { labelName, objectName } from '../../../core/kubernetes/names.ts';
import { duration } from '../../rollouts/reload/spec.ts';
import { parseTemplate } from '../template.ts';

/** `deliver[].externalSecret` of a policy. */
export const externalSecretSpec = z
  .strictObject({
    name: objectName.describe('The ExternalSecret that copies from the store'),
    namespace: labelName,
    context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
    apiVersion: z
      .enum(['external-secrets.io/v1', 'external-secrets.io/v1beta1'])
      .default('external-secrets.io/v1')
      .describe('What the installed operator serves'),
    data: z
      .record(z.string().min(1), z.string())
      .refine((data) => Object.keys(data).length > 0, { error: 'needs a key' })
      .optional()
      .describe('What keys of the Secret must be, as templates; keys named like fields when absent'),
    timeout: duration.default('5m').describe('How long External Secrets may take'),
  })
  .superRefine(({ data = {} }, context) => {
    for (const [key, template] of Object.entries(data)) {
      const parts = parseTemplate(template);
      if ('problem' in parts)
        context.addIssue({ code: 'custom', path: ['data', key], message: parts.problem });
    }
  });

export type ExternalSecretSpec = z.infer<typeof externalSecretSpec>;
