import { z } from 'zod';
import { objectName as name } from '../../kubernetes/names.ts';
import { duration } from '../reload/spec.ts';

/** `consumers[].rolling` of a policy: exactly one of the three kinds. */
export const rollingSpec = z
  .strictObject({
    deployment: name.optional(),
    statefulSet: name.optional(),
    daemonSet: name.optional(),
    namespace: name,
    context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
    secretName: name.describe('The delivered Secret that its pods read'),
    timeout: duration
      .optional()
      .describe(
        'How long it may go without any new pod being made or ready; 10m for StatefulSets and DaemonSets when absent, since their controllers know no deadline',
      ),
  })
  .superRefine((spec, context) => {
    const named = [spec.deployment, spec.statefulSet, spec.daemonSet].filter((each) => each !== undefined);
    if (named.length !== 1)
      context.addIssue({
        code: 'custom',
        path: [],
        message: 'needs exactly one of `deployment`, `statefulSet` and `daemonSet`',
      });
  });

export type RollingSpec = z.infer<typeof rollingSpec>;
