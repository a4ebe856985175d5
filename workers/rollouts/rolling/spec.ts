import { z } from 'zod';
import { sourceFields, sourceProblem } from '../mounted.ts';
import { namingProblem, workloadFields } from '../named-workload.ts';
import { duration } from '../reload/spec.ts';

/** `consumers[].rolling` of a policy: exactly one of the three kinds. */
export const rollingSpec = z
  .strictObject({
    ...workloadFields,
    ...sourceFields,
    timeout: duration
      .optional()
      .describe(
        'How long it may go without any new pod being made or ready; 10m for StatefulSets and DaemonSets when absent, since their controllers know no deadline',
      ),
  })
  .superRefine((spec, context) => {
    const naming = namingProblem(spec);
    if (naming) context.addIssue({ code: 'custom', path: [], message: naming });
    const source = sourceProblem(spec);
    if (source) context.addIssue({ code: 'custom', ...source });
  });

export type RollingSpec = z.infer<typeof rollingSpec>;
