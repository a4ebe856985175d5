import { z } from 'zod';
import { objectName } from '../../../core/kubernetes/names.ts';
import { gate } from './gates-spec.ts';

/** `consumers[].blueGreen` of a policy. */
export const blueGreenSpec = z.strictObject({
  deployment: objectName.describe('The Deployment whose pods read the Secret'),
  namespace: objectName,
  service: objectName.describe('The Service through which its clients come; its selector is switched'),
  context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
  secretName: objectName.describe('The delivered Secret that its pods read'),
  gates: z.array(gate).max(20).default([]).describe('What must be well before the Service is switched'),
});

export type BlueGreenSpec = z.infer<typeof blueGreenSpec>;
