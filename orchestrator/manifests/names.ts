import { z } from 'zod';

/** RFC 1123 label, as Kubernetes has it: the same manifests can be objects in a cluster. */
export const resourceName = z
  .string()
  .max(63)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    'needs lower-case letters, digits and "-", with a letter or digit at both ends',
  );
