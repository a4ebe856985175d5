import { z } from 'zod';

import { labelName, objectName } from '../../../core/kubernetes/names.ts';
import { duration } from '../../rollouts/reload/spec.ts';

/** `deliver[].secretProviderClass` of a policy. */
export const secretProviderClassSpec = z.strictObject({
  name: objectName.describe('The SecretProviderClass by which pods mount what the store has'),
  namespace: labelName,
  context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
  objects: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('The objects of the class that are the credential; needed where it has more than one'),
  timeout: duration.default('10m').describe('How long the Secrets Store CSI driver may take'),
});

export type SecretProviderClassSpec = z.infer<typeof secretProviderClassSpec>;
