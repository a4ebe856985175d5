import { z } from 'zod';

import { labelName, objectName } from '../../../core/kubernetes/names.ts';
import { duration } from '../../rollouts/reload/spec.ts';

/** `deliver[].pushSecret` of a policy. */
export const pushSecretSpec = z.strictObject({
  name: objectName.describe('The PushSecret that copies a Secret to other stores'),
  namespace: labelName,
  context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
  timeout: duration.default('5m').describe('How long External Secrets may take'),
});

export type PushSecretSpec = z.infer<typeof pushSecretSpec>;
