import { createHash, createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';
import { jsonIn } from '../../../core/json.ts';
import { base64, unauthenticated } from '../proof.ts';
import { idOfBody, readJson, secretsIn, word } from '../reading.ts';
import type { HookRequest, HookSource, Surroundings } from '../source.ts';

const settings = z.strictObject({
  keysUrl: z
    .url({ protocol: /^https?$/ })
    .default('https://api.github.com/meta/public_keys/secret_scanning')
    .describe("GitHub's public keys, or a mirror of them"),
});

const keys = z.object({
  public_keys: z.array(z.object({ key_identifier: z.string(), key: z.string() })),
});

const body = z
  .array(
    z.object({
      token: z.string().min(1).max(65_536),
      type: z.string(),
      url: z.string().nullish(),
      source: z.string().nullish(),
    }),
  )
  .min(1)
  .max(10_000);

/**
 * GitHub's secret scanning partner programme: base64 of a DER signature, ECDSA P-256 with SHA-256, over the raw body
 * (docs.github.com, "Secret scanning partner program"). There is neither a time nor an id in it; the address of the find is
 * never fetched.
 */
export const githubPartner: HookSource<z.output<typeof settings>> = {
  kind: 'githubPartner',
  settings,

  async verify(request, { keysUrl }, around) {
    const { key, published } = await keyOf(request, keysUrl, around);
    const shown = base64(request.headers['github-public-key-signature']);
    let proven = false;
    try {
      proven = verify('sha256', request.body, createPublicKey(key), shown);
    } catch {
      // A key that is none, or a signature that is none.
    }
    if (!published) throw unauthenticated('it names a key that is not published');
    if (!proven) throw unauthenticated('no signature fits');
  },

  read(request) {
    const matches = readJson(request.body, body);
    const hashes = matches.map(({ token }) => createHash('sha256').update(token).digest('hex'));
    return {
      kind: 'reports',
      deliveryId: idOfBody(request.body),
      reports: matches.map(({ token, type, source }) => ({
        about: 'leak',
        type: word(type),
        reference: `found in ${word(source, 'an unnamed place')}`,
        found: secretsIn(token),
        hints: {},
        // The programme reports what is public, and such keys are tried within minutes.
        severity: 'critical',
        validity: 'unknown',
        exposure: 'public',
      })),
      answer: (known) =>
        hashes.map((token_hash, index) => ({
          token_hash,
          token_type: matches[index]?.type,
          label: known[index] ? 'true_positive' : 'false_positive',
        })),
    };
  },
};

/** The key that is named; in the place of one that isn't published, another, since it is to take as long. */
async function keyOf(
  request: HookRequest,
  keysUrl: string,
  around: Surroundings,
): Promise<{ readonly key: string; readonly published: boolean }> {
  const wanted = request.headers['github-public-key-identifier'] ?? '';
  const all = keys.safeParse(jsonIn(await around.fetchText(keysUrl))).data?.public_keys ?? [];
  const found = all.find(({ key_identifier }) => key_identifier === wanted);
  return { key: (found ?? all[0])?.key ?? '', published: found !== undefined };
}
