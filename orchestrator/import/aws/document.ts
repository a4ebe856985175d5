import { z } from 'zod';
import { jsonIn } from '../../../core/json.ts';

const plain = z.string().min(1).max(255);

/** Of a secret's JSON what says where the credential is valid; everything else is dropped unread. */
const known = z.object({
  engine: plain.optional().catch(undefined),
  host: plain.optional().catch(undefined),
  port: z.coerce.number().int().min(1).max(65_535).optional().catch(undefined),
  dbname: plain.optional().catch(undefined),
  username: plain.optional().catch(undefined),
  masterarn: plain.optional().catch(undefined),
});

export type KnownFields = z.output<typeof known>;

/** @returns undefined when it is no JSON object */
export function fieldsOf(text: string): KnownFields | undefined {
  return known.safeParse(jsonIn(text)).data;
}
