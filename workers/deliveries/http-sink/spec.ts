import { z } from 'zod';
import { jsonPointer, url } from '../../rollouts/reload/spec.ts';
import { secretFile } from '../secret-file.ts';
import { parseTemplate } from '../template.ts';

/** A token of RFC 9110. What Rotor and the HTTP client set is nobody else's to set. */
const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, { error: 'must be the name of a header' })
  .refine((name) => !/^(webhook-|rotor-|host$|connection$|content-length$|transfer-encoding$)/i.test(name), {
    error: 'is set by Rotor itself',
  });
/** Headers whose value is a secret by what they are for. */
const SECRET_HEADER = /auth|cookie|token|secret|key|password/i;

/** `deliver[].httpSink` of a policy. */
export const httpSinkSpec = z
  .strictObject({
    url,
    method: z.enum(['POST', 'PUT', 'PATCH']).default('POST'),
    headers: z
      .record(headerName, z.string().regex(/^[\x20-\x7e]*$/, { error: 'must be plain text' }))
      .default({})
      .describe('Headers that are no secrets'),
    headersFrom: z
      .record(headerName, secretFile.extend({ prefix: z.string().max(100).default('') }))
      .default({})
      .describe('Headers whose value is in a file, such as authorization with the prefix "Bearer "'),
    body: z
      .string()
      .min(1)
      .optional()
      .describe('Template of the body; all fields and versionId as one JSON object when absent'),
    signingSecretFrom: secretFile.optional().describe('Sign as Standard Webhooks have it'),
    verify: z
      .strictObject({
        url,
        pointer: jsonPointer.describe('To the id of the version that the receiver holds, never to a secret'),
      })
      .optional()
      .describe('Where the receiver tells which version it holds'),
    acknowledgeUnseen: z
      .boolean()
      .default(false)
      .describe('Nobody can look what the receiver holds: a change there shows nowhere'),
  })
  .superRefine((spec, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    if (spec.verify === undefined && !spec.acknowledgeUnseen)
      complain(
        ['verify'],
        'is required; or write `acknowledgeUnseen: true`, and nobody can tell what the receiver holds',
      );
    if (spec.verify !== undefined && spec.acknowledgeUnseen)
      complain(['acknowledgeUnseen'], 'has no use where `verify` looks');
    if (spec.verify && originOf(spec.verify.url) !== originOf(spec.url))
      complain(['verify', 'url'], 'must be at the host of `url`, since it is asked with the same headers');
    for (const name of Object.keys(spec.headers)) {
      if (SECRET_HEADER.test(name))
        complain(['headers', name], 'holds a secret: name its file in `headersFrom`');
    }
    const parts = parseTemplate(spec.body ?? '');
    if ('problem' in parts) complain(['body'], parts.problem);
  });

export type HttpSinkSpec = z.infer<typeof httpSinkSpec>;

function originOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).origin : undefined;
}
