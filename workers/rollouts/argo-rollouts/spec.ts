import { z } from 'zod';
import { objectName } from '../../../core/kubernetes/names.ts';
import { duration } from '../reload/spec.ts';

/** `consumers[].argoRollouts` of a policy. */
export const argoRolloutsSpec = z.strictObject({
  rollout: objectName.describe('The Rollout whose pods read the Secret'),
  namespace: objectName,
  context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
  secretName: objectName.describe('The delivered Secret that its pods read'),
  promote: z
    .boolean()
    .default(false)
    .describe('Promote it fully where it pauses, skipping its steps and analyses; else a person promotes it'),
  timeout: duration
    .optional()
    .describe(
      'How long it may go without any new pod being made or ready, pauses aside; its own deadline counts too',
    ),
});

export type ArgoRolloutsSpec = z.infer<typeof argoRolloutsSpec>;
