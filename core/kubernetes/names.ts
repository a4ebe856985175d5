import { z } from 'zod';

/** RFC 1123 label, as namespaces are named. */
export const labelName = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'must be lower-case letters, digits and "-"');

/** RFC 1123 subdomain, as most objects are named. */
export const objectName = z
  .string()
  .max(253)
  .regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'must be a DNS name in lower case',
  );

/** Value of a label. */
export const labelValue = z
  .string()
  .max(63)
  .regex(
    /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
    'must be letters, digits and "-_.", beginning and ending with a letter or digit',
  );

/** Name of a label or an annotation: `team`, `example.com/team`. */
export const qualifiedName = z
  .string()
  .regex(
    /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/,
    'must be a name of at most 63 letters, digits and "-_.", perhaps behind a DNS name and "/"',
  );
