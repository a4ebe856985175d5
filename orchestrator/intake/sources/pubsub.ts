import { createLocalJWKSet, importJWK, type JSONWebKeySet, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import { SecretValue } from '../../../core/secret.ts';
import { malformed, sameSecret, unauthenticated } from '../proof.ts';
import { instantOf, readJson, word } from '../reading.ts';
import type { HookSource } from '../source.ts';

const settings = z.strictObject({
  audience: z.string().min(1).max(400).describe('Audience of the push subscription'),
  serviceAccount: z.email().describe('Account by which the subscription proves itself'),
  keysUrl: z
    .url({ protocol: /^https?$/ })
    .default('https://www.googleapis.com/oauth2/v3/certs')
    .describe("Google's keys (JWKS), or a mirror of them"),
  issuer: z.string().default('https://accounts.google.com'),
  projects: z
    .record(z.string().regex(/^\d{1,20}$/, 'must be the number of a project'), z.string().min(1).max(64))
    .default({})
    .describe('Ids of projects by their numbers: messages name the number, stores the id'),
});

const body = z.object({
  message: z.object({
    messageId: z.string().max(200),
    publishTime: z.string().max(64).nullish(),
    attributes: z.record(z.string(), z.string()).nullish(),
  }),
});

const SECRET =
  /^projects\/([\w-]{1,64})\/(?:locations\/([\w-]{1,64})\/)?secrets\/([\w-]{1,255})(?:\/versions\/.*)?$/;

/** What nobody signed, to take as long when there is no token. */
const NO_TOKEN = 'eyJhbGciOiJSUzI1NiJ9.e30.AAAA';

/**
 * Google Cloud Pub/Sub push: an OpenID token of the subscription's service account in `Authorization`. Secret Manager's
 * `SECRET_ROTATE` (attributes `eventType`, `secretId`) is a time to rotate.
 */
export const pubsub: HookSource<z.output<typeof settings>> = {
  kind: 'pubsub',
  settings,

  async verify(request, { audience, serviceAccount, keysUrl, issuer }, around) {
    const token = /^Bearer ([\w.-]{1,8192})$/i.exec(request.headers.authorization ?? '')?.[1];
    const text = await around.fetchText(keysUrl);
    let published = true;
    let claims: { readonly aud?: string | string[]; readonly email?: unknown };
    try {
      const { payload } = await jwtVerify(
        token ?? NO_TOKEN,
        keyAmong(JSON.parse(text), () => {
          published = false;
        }),
        {
          issuer: [issuer, issuer.replace(/^https:\/\//, '')],
          algorithms: ['RS256', 'ES256'],
          currentDate: around.now,
          requiredClaims: ['exp', 'email'],
        },
      );
      if (!published) throw unauthenticated('it names a key that is not published');
      claims = payload.email_verified === true ? payload : {};
    } catch {
      throw unauthenticated(token === undefined ? 'it shows no token' : 'no token fits');
    }
    // Anybody has tokens that Google signed, of accounts of their own: none of them finds out by trying what is expected.
    const ours = isOne(claims.aud, audience);
    if (!isOne(claims.email, serviceAccount)) throw unauthenticated('the token is of another account');
    if (!ours) throw unauthenticated('the token is for another audience');
  },

  read(request, { projects }) {
    const { message } = readJson(request.body, body);
    const deliveryId = word(message.messageId);
    const { eventType, secretId = '' } = message.attributes ?? {};
    if (eventType !== 'SECRET_ROTATE')
      return { kind: 'nothing', deliveryId, why: `event ${word(eventType)}` };
    const [, project = '', location, name] = SECRET.exec(secretId) ?? [];
    if (name === undefined) throw malformed('secretId is no secret');
    return {
      kind: 'rotations',
      deliveryId,
      requests: [
        {
          storeKind: 'gcpSecretManager',
          names: [name],
          within: { project: projects[project] ?? project, ...(location ? { location } : {}) },
          type: 'SECRET_ROTATE',
          reference: `message ${deliveryId}`,
          key: `gcp:${deliveryId}`,
          at: instantOf(message.publishTime),
        },
      ],
    };
  },
};

/** The key that a token names; in the place of one that isn't published, another one, which is told and refused then. */
function keyAmong(keys: JSONWebKeySet, unpublished: () => void): JWTVerifyGetKey {
  const published = createLocalJWKSet(keys);
  return async (header, token) => {
    try {
      return await published(header, token);
    } catch (error) {
      const [other] = keys.keys.filter(({ kty }) => kty === (header.alg === 'ES256' ? 'EC' : 'RSA'));
      if (!other) throw error;
      unpublished();
      return importJWK(other, header.alg);
    }
  };
}

/** A claim may be one text or several. */
function isOne(claim: unknown, expected: string): boolean {
  const wanted = SecretValue.of(expected);
  let same = false;
  for (const each of [claim].flat().slice(0, 10))
    same = sameSecret(wanted, SecretValue.of(typeof each === 'string' ? each : '')) || same;
  return same;
}
