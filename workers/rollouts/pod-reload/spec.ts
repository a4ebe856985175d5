import { z } from 'zod';
import { podPort } from '../blue-green/gates-spec.ts';
import { sourceFields, sourceProblem } from '../mounted.ts';
import { namingProblem, workloadFields } from '../named-workload.ts';
import { duration, jsonPointer } from '../reload/spec.ts';

/** `consumers[].podReload` of a policy: exactly one of the three kinds of workload. */
export const podReloadSpec = z
  .strictObject({
    ...workloadFields,
    ...sourceFields,
    version: z
      .strictObject({
        of: z
          .enum(['process', 'file'])
          .default('process')
          .describe('Whether a pod names the version that it runs with, or the one in its mounted file'),
        http: z.strictObject({ ...podPort, pointer: jsonPointer }),
      })
      .optional()
      .describe(
        'Where a pod names its version; may be left out with `secretProviderClass`, since the driver tells',
      ),
    reload: z.strictObject({
      http: z.strictObject({ ...podPort, method: z.enum(['POST', 'PUT', 'GET']).default('POST') }),
    }),
    timeout: duration
      .default('5m')
      .describe('How long the pods may take; a kubelet brings a change to the files within about a minute'),
  })
  .superRefine((spec, context) => {
    const naming = namingProblem(spec);
    if (naming) context.addIssue({ code: 'custom', path: [], message: naming });
    const source = sourceProblem(spec);
    if (source) context.addIssue({ code: 'custom', ...source });
    if (!spec.version && !spec.secretProviderClass)
      context.addIssue({ code: 'custom', path: ['version'], message: 'is required with `secretName`' });
  });

export type PodReloadSpec = z.infer<typeof podReloadSpec>;
