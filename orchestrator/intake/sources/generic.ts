import { z } from 'zod';
import { readReports } from '../plain-report.ts';
import { assertBearer, assertSigned, base64, hex } from '../proof.ts';
import { idOfBody } from '../reading.ts';
import { mayName, secretsFrom } from '../settings.ts';
import type { HookSource } from '../source.ts';

const settings = z.strictObject({
  secretsFrom,
  mayName,
  signature: z
    .strictObject({
      header: z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
      prefix: z.string().max(32).default(''),
      encoding: z.enum(['hex', 'base64']).default('hex'),
    })
    .optional()
    .describe('HMAC-SHA-256 over the raw body; a bearer token when absent'),
  idHeader: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/)
    .optional()
    .describe('Header with the id of the delivery; the same body is the same delivery when absent'),
});

/** Anybody's own sender: an HMAC over the raw body in a header of choice, or a bearer token. */
export const generic: HookSource<z.output<typeof settings>> = {
  kind: 'generic',
  settings,

  async verify(request, { secretsFrom: references, signature }, around) {
    const secrets = await around.secrets(references);
    if (!signature) return assertBearer(request, secrets);
    const shown = request.headers[signature.header.toLowerCase()] ?? '';
    const text = shown.startsWith(signature.prefix) ? shown.slice(signature.prefix.length) : '';
    assertSigned(secrets, [signature.encoding === 'hex' ? hex(text) : base64(text)], request.body);
  },

  read(request, { idHeader, mayName: allowed }) {
    const id = idHeader === undefined ? undefined : request.headers[idHeader.toLowerCase()];
    return {
      kind: 'reports',
      deliveryId: id !== undefined && /^[\w.:-]{1,200}$/.test(id) ? id : idOfBody(request.body),
      reports: readReports(request.body, allowed),
    };
  },
};
