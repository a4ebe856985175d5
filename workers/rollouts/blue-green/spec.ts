import { z } from 'zod';
import { objectName } from '../../kubernetes/names.ts';

/** `consumers[].blueGreen` of a policy. */
export const blueGreenSpec = z.strictObject({
  deployment: objectName.describe('The Deployment whose pods read the Secret'),
  namespace: objectName,
  service: objectName.describe('The Service through which its clients come; its selector is switched'),
  context: z.string().min(1).optional().describe('Context of the kubeconfig; the current one when absent'),
  secretName: objectName.describe('The delivered Secret that its pods read'),
});

export type BlueGreenSpec = z.infer<typeof blueGreenSpec>;
