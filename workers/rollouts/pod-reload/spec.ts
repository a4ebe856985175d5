import { z } from 'zod';
import { objectName as name } from '../../kubernetes/names.ts';
import { podPort } from '../blue-green/gates-spec.ts';
import { duration, jsonPointer } from '../reload/spec.ts';

/** `consumers[].podReload` of a policy: exactly one of the three kinds of workload. */
export const podReloadSpec = z
  .strictObject({
    deployment: name.optional(),
    statefulSet: name.optional(),
    daemonSet: name.optional(),
    namespace: name,
    context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
    secretName: name.describe('The delivered Secret that its pods have mounted as a volume'),
    version: z.strictObject({
      of: z
        .enum(['process', 'file'])
        .default('process')
        .describe('Whether a pod names the version that it runs with, or the one in its mounted file'),
      http: z.strictObject({ ...podPort, pointer: jsonPointer }),
    }),
    reload: z.strictObject({
      http: z.strictObject({ ...podPort, method: z.enum(['POST', 'PUT', 'GET']).default('POST') }),
    }),
    timeout: duration
      .default('5m')
      .describe('How long the pods may take; a kubelet brings a change to the files within about a minute'),
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

export type PodReloadSpec = z.infer<typeof podReloadSpec>;
