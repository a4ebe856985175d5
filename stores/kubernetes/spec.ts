import { z } from 'zod';
import { labelName } from '../../core/kubernetes/names.ts';

/** `spec.kubernetes` of a Store manifest. */
export const kubernetesSpec = z.strictObject({
  namespace: labelName.describe('Where the Secrets are kept'),
  context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
  encryptedAtRest: z
    .boolean()
    .default(false)
    .describe("The API server encrypts Secrets (EncryptionConfiguration), which Rotor can't see"),
  keepVersions: z
    .int()
    .min(0)
    .max(100)
    .default(10)
    .describe('How many versions without a stage are kept per path, the newest; older ones are deleted'),
});

export type KubernetesSpec = z.infer<typeof kubernetesSpec>;
