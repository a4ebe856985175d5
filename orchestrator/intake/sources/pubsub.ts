import { createLocalJWKSet, jwtVerify } from 'jose';
import { z } from 'zod';
import { malformed, unauthenticated } from '../proof.ts';
import { readJson, word } from '../reading.ts';
import type { HookSource } from '../source.ts';

const settings = z.strictObject({
  audience: z.string().min(1).max(400).describe('Audience of the push subscription'),
  serviceAccount: z.email().describe('Account by which the subscription proves itself'),
  keysUrl: z
    .url({ protocol: /^https?$/ })
    .default('https://www.googleapis.com/oauth2/v3/certs')
    .describe("Google's keys (JWKS), or a mirror of them"),
  issuer: z.string().default('https://accounts.google.com'),
});

const body = z.object({
  message: z.object({
    messageId: z.string().max(200),
    attributes: z.record(z.string(), z.string()).nullish(),
  }),
});

const SECRET =
  /^projects\/([\w-]{1,64})\/(?:locations\/[\w-]{1,64}\/)?secrets\/([\w-]{1,255})(?:\/versions\/.*)?$/;

/**
 * Google Cloud Pub/Sub push: an OpenID token of the subscription's service account in `Authorization`. Secret Manager's
 * `SECRET_ROTATE` (attributes `eventType`, `secretId`) is a time to rotate.
 */
export const pubsub: HookSource<z.output<typeof settings>> = {
  kind: 'pubsub',
  settings,

  async verify(request, { audience, serviceAccount, keysUrl, issuer }, around) {
    const token = /^Bearer ([\w.-]{1,8192})$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) throw unauthenticated('it shows no token');
    const keys = await around.fetchText(keysUrl);
    let email: unknown;
    try {
      const { payload } = await jwtVerify(token, createLocalJWKSet(JSON.parse(keys)), {
        audience,
        issuer: [issuer, issuer.replace(/^https:\/\//, '')],
        algorithms: ['RS256', 'ES256'],
        currentDate: around.now,
        requiredClaims: ['exp', 'email'],
      });
      email = payload.email_verified === true ? payload.email : undefined;
    } catch {
      throw unauthenticated('no token fits');
    }
    if (email !== serviceAccount) throw unauthenticated('the token is of another account');
  },

  read(request) {
    const { message } = readJson(request.body, body);
    const deliveryId = word(message.messageId);
    const { eventType, secretId = '' } = message.attributes ?? {};
    if (eventType !== 'SECRET_ROTATE')
      return { kind: 'nothing', deliveryId, why: `event ${word(eventType)}` };
    const [, project, name] = SECRET.exec(secretId) ?? [];
    if (name === undefined) throw malformed('secretId is no secret');
    return {
      kind: 'reports',
      deliveryId,
      reports: [
        {
          about: 'rotate',
          type: 'SECRET_ROTATE',
          reference: `message ${deliveryId}`,
          found: [],
          hints: { storePath: `${project}/${name}` },
          severity: 'low',
          validity: 'active',
          exposure: 'unknown',
        },
      ],
    };
  },
};
