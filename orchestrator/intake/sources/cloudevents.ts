import { z } from 'zod';
import { plainReport, toReport } from '../plain-report.ts';
import { assertBearer, malformed } from '../proof.ts';
import { readJson, word } from '../reading.ts';
import { mayName, secretsFrom } from '../settings.ts';
import type { HookRequest, HookSource } from '../source.ts';

const settings = z.strictObject({ secretsFrom, mayName });

const context = {
  specversion: z.literal('1.0'),
  id: z.string().min(1).max(200),
  source: z.string().min(1).max(400),
  type: z.string().min(1).max(200),
};
const structured = z.object({ ...context, data: z.unknown() });
const attributes = z.object(context);

/** Types that carry a plain report as `data`. */
const TYPES = /^dev\.rotor\.(leak|suspicion|rotate)(\.v1)?$/;

/**
 * CloudEvents 1.0 over HTTP, structured (`application/cloudevents+json`) and binary (`ce-` headers); a bearer token. `data`
 * is Rotor's plain report, `type` is `dev.rotor.leak`, `.suspicion` or `.rotate`.
 */
export const cloudEvents: HookSource<z.output<typeof settings>> = {
  kind: 'cloudEvents',
  settings,

  async verify(request, { secretsFrom: references }, around) {
    assertBearer(request, await around.secrets(references));
  },

  read(request, { mayName: allowed }) {
    const { id, source, type, data } = readEvent(request);
    // `source` and `id` together are unique, as the specification has it.
    const deliveryId = `${word(source)} ${word(id)}`;
    const about = TYPES.exec(type)?.[1];
    if (about === undefined) return { kind: 'nothing', deliveryId, why: `event ${word(type)}` };
    const reports = (Array.isArray(data) ? data : [data]).map((each) =>
      toReport(readJson(Buffer.from(JSON.stringify({ ...asObject(each), about })), plainReport), allowed),
    );
    return { kind: 'reports', deliveryId, reports };
  },
};

function readEvent(request: HookRequest): z.output<typeof structured> {
  const contentType = request.headers['content-type'] ?? '';
  if (/^application\/cloudevents-batch/i.test(contentType)) throw malformed('batches are not taken');
  if (/^application\/cloudevents\+json/i.test(contentType)) return readJson(request.body, structured);
  const named = attributes.safeParse({
    specversion: request.headers['ce-specversion'],
    id: request.headers['ce-id'],
    source: request.headers['ce-source'],
    type: request.headers['ce-type'],
  });
  if (!named.success) throw malformed('the ce- headers are missing or not valid');
  return { ...named.data, data: readJson(request.body, z.unknown()) };
}

function asObject(value: unknown): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('data is no report');
  return value;
}
