import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { exportJWK, SignJWT } from 'jose';
import { generate } from 'selfsigned';
import { SecretValue } from '../../core/secret.ts';
import type { HookRequest, Surroundings } from '../../orchestrator/intake/source.ts';

export const NOW = new Date('2026-06-01T12:00:00Z');
/** Two shared secrets, as while one replaces the other. */
export const SECRETS = ['first-shared-secret', 'second-shared-secret'] as const;

/** What a source's request is signed with. */
export interface Signing {
  /** Shared secret of sources that have one. */
  readonly secret: string;
  readonly at: Date;
  /** Another key pair than the sender's. */
  readonly strangersKey?: boolean;
}

export interface HookScenario {
  readonly kind: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** A genuine request that reports `leaked` (sources that carry no secret report a name). */
  request(leaked: string, signing: Signing): Promise<HookRequest>;
  /** Whether the time is signed, so that an old request is refused by its age. */
  readonly signsTime: boolean;
  /** Whether the secret itself is in the payload. */
  readonly carriesSecret: boolean;
  /** Whether it proves itself by a bearer token, which says nothing about the body. */
  readonly bearer: boolean;
}

const secretsFrom = [{ file: 'first' }, { file: 'second' }];
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const hmac = (key: string | Buffer, data: Buffer | string) => createHmac('sha256', key).update(data);
const request = (body: Buffer, headers: Readonly<Record<string, string>>): HookRequest => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body,
});
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

export interface Keys {
  readonly ec: { publicKey: KeyObject; privateKey: KeyObject };
  readonly strangersEc: KeyObject;
  readonly rsa: KeyObject;
  readonly certificate: string;
  readonly jwtPrivate: KeyObject;
  readonly jwks: string;
  readonly strangersRsa: KeyObject;
}

export const EC_KEY_ID = 'ab'.repeat(32);
const CERTIFICATE_URL = 'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123.pem';
const GOOGLE_KEYS = 'https://www.googleapis.com/oauth2/v3/certs';
const GITHUB_KEYS = 'https://api.github.com/meta/public_keys/secret_scanning';
const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:leaks';

export async function makeKeys(): Promise<Keys> {
  const { cert, private: pem } = await generate([{ name: 'commonName', value: 'sns.amazonaws.com' }], {
    keySize: 2048,
    notBeforeDate: new Date('2026-01-01'),
    notAfterDate: new Date('2027-01-01'),
  });
  const jwt = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...(await exportJWK(jwt.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' };
  return {
    ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    strangersEc: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    rsa: createPrivateKey(pem),
    certificate: cert,
    jwtPrivate: jwt.privateKey,
    jwks: JSON.stringify({ keys: [jwk] }),
    strangersRsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  };
}

/** What the world around a source holds: its shared secrets, and the public keys where it looks for them. */
export function surroundings(keys: Keys, now = NOW): Surroundings {
  const texts: Readonly<Record<string, string>> = {
    [CERTIFICATE_URL]: keys.certificate,
    [GOOGLE_KEYS]: keys.jwks,
    [GITHUB_KEYS]: JSON.stringify({
      public_keys: [
        {
          key_identifier: EC_KEY_ID,
          key: keys.ec.publicKey.export({ type: 'spki', format: 'pem' }),
          is_current: true,
        },
      ],
    }),
  };
  return {
    now,
    fetchText: async (url) => {
      const text = texts[url];
      if (text === undefined) throw new Error(`nobody may fetch ${url}`);
      return text;
    },
    secrets: async () => SECRETS.map((secret) => SecretValue.of(secret)),
  };
}

/** One genuine request of every source there is; a source without one fails the kit. */
export function hookScenarios(keys: Keys): readonly HookScenario[] {
  return [
    {
      kind: 'githubPartner',
      settings: {},
      signsTime: false,
      carriesSecret: true,
      bearer: false,
      request: async (leaked, { strangersKey }) => {
        const body = json([
          { token: leaked, type: 'shop_password', url: 'https://example.com/x', source: 'commit' },
        ]);
        const key = strangersKey ? keys.strangersEc : keys.ec.privateKey;
        return request(body, {
          'github-public-key-identifier': EC_KEY_ID,
          'github-public-key-signature': sign('sha256', body, key).toString('base64'),
        });
      },
    },
    {
      kind: 'githubAlert',
      settings: { secretsFrom },
      signsTime: false,
      carriesSecret: true,
      bearer: false,
      request: async (leaked, { secret }) => {
        const body = json({
          action: 'created',
          alert: {
            number: 42,
            secret_type: 'postgres',
            secret: leaked,
            validity: 'active',
            publicly_leaked: true,
          },
          repository: { full_name: 'acme/shop', private: false },
        });
        return request(body, {
          'x-github-event': 'secret_scanning_alert',
          'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
          'x-hub-signature-256': `sha256=${hmac(secret, body).digest('hex')}`,
        });
      },
    },
    {
      kind: 'gitguardian',
      settings: { secretsFrom },
      signsTime: true,
      carriesSecret: true,
      bearer: false,
      request: async (leaked, { secret, at }) => {
        const timestamp = String(Math.floor(at.getTime() / 1_000));
        const body = json({
          action: 'incident_triggered',
          incident: {
            id: 7,
            detector: { name: 'postgresql_uri' },
            severity: 'high',
            validity: 'valid',
            secret: leaked,
          },
        });
        return request(body, {
          timestamp,
          'gitguardian-signature': `sha256=${hmac(`${timestamp}${secret}`, body).digest('hex')}`,
        });
      },
    },
    {
      kind: 'pagerduty',
      settings: {
        secretsFrom,
        rules: [{ when: { service: 'Shop*' }, policies: ['shop/db'], about: 'leak' }],
      },
      signsTime: false,
      carriesSecret: false,
      bearer: false,
      request: async (_leaked, { secret }) => {
        const body = json({
          event: {
            id: '01BWE0AWH4JTXV',
            event_type: 'incident.triggered',
            resource_type: 'incident',
            data: {
              number: 12,
              title: 'Somebody has the key',
              service: { summary: 'Shop database' },
              urgency: 'high',
            },
          },
        });
        return request(body, {
          'x-pagerduty-signature': `v1=${hmac(secret, body).digest('hex')},v1=${'00'.repeat(32)}`,
        });
      },
    },
    {
      kind: 'sns',
      settings: { topics: [TOPIC] },
      signsTime: true,
      carriesSecret: false,
      bearer: false,
      request: async (_leaked, { at, strangersKey }) => {
        const message = {
          Type: 'Notification',
          MessageId: '22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324',
          TopicArn: TOPIC,
          Message: JSON.stringify({
            source: 'aws.guardduty',
            'detail-type': 'GuardDuty Finding',
            detail: {
              type: 'UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS',
              id: 'finding-1',
              severity: 8,
              resource: { accessKeyDetails: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', userName: 'shop' } },
            },
          }),
          Timestamp: at.toISOString(),
        };
        const signed = (['Message', 'MessageId', 'Timestamp', 'TopicArn', 'Type'] as const)
          .map((name) => `${name}\n${message[name]}\n`)
          .join('');
        const key = strangersKey ? keys.strangersRsa : keys.rsa;
        const signature = sign('sha256', Buffer.from(signed), key).toString('base64');
        const all = {
          ...message,
          SignatureVersion: '2',
          Signature: signature,
          SigningCertURL: CERTIFICATE_URL,
        };
        return request(json(all), { 'x-amz-sns-message-type': 'Notification' });
      },
    },
    {
      kind: 'falco',
      settings: {
        secretsFrom,
        rules: [{ when: { rule: 'Read sensitive file' }, policies: ['shop/db'], about: 'leak' }],
      },
      signsTime: false,
      carriesSecret: false,
      bearer: true,
      request: async (_leaked, { secret }) =>
        request(
          json({
            uuid: '6b9b2a1e-1111-4222-8333-444455556666',
            rule: 'Read sensitive file',
            priority: 'Critical',
            output: 'cat /var/run/secrets/x by an intruder',
            output_fields: { 'k8s.ns.name': 'shop', 'k8s.pod.name': 'web-1' },
          }),
          bearer(secret),
        ),
    },
    {
      kind: 'alertmanager',
      settings: {
        secretsFrom,
        rules: [{ when: { alertname: 'StolenCredential' }, policies: ['shop/db'], about: 'leak' }],
      },
      signsTime: false,
      carriesSecret: false,
      bearer: true,
      request: async (_leaked, { secret }) =>
        request(
          json({
            version: '4',
            status: 'firing',
            alerts: [
              {
                status: 'firing',
                labels: { alertname: 'StolenCredential', severity: 'critical' },
                fingerprint: 'c5a1b2',
              },
            ],
          }),
          bearer(secret),
        ),
    },
    {
      kind: 'standardWebhooks',
      settings: { secretsFrom },
      signsTime: true,
      carriesSecret: true,
      bearer: false,
      request: async (leaked, { secret, at }) => {
        const body = json({ type: 'paste', secret: leaked, severity: 'critical', exposure: 'public' });
        const timestamp = String(Math.floor(at.getTime() / 1_000));
        const signed = Buffer.concat([Buffer.from(`msg_1.${timestamp}.`), body]);
        const signature = `v1,${hmac(secret, signed).digest('base64')} v1a,ignored`;
        return request(body, {
          'webhook-id': 'msg_1',
          'webhook-timestamp': timestamp,
          'webhook-signature': signature,
        });
      },
    },
    {
      kind: 'cloudEvents',
      settings: { secretsFrom },
      signsTime: false,
      carriesSecret: true,
      bearer: true,
      request: async (leaked, { secret }) =>
        request(json({ secret: leaked, severity: 'high' }), {
          ...bearer(secret),
          'ce-specversion': '1.0',
          'ce-id': 'event-1',
          'ce-source': '/scanner',
          'ce-type': 'dev.rotor.leak',
        }),
    },
    {
      kind: 'eventGrid',
      settings: { secretsFrom },
      signsTime: false,
      carriesSecret: false,
      bearer: true,
      request: async (_leaked, { secret }) =>
        request(
          json([
            {
              id: '00eccf70-95a7-4e7c-8299-2eb17ee9ad64',
              topic: '/subscriptions/x/resourceGroups/y/providers/Microsoft.KeyVault/vaults/shop',
              subject: 'db',
              eventType: 'Microsoft.KeyVault.SecretNearExpiry',
              eventTime: NOW.toISOString(),
              data: {
                Id: 'https://shop.vault.azure.net/secrets/db/1',
                VaultName: 'shop',
                ObjectType: 'Secret',
                ObjectName: 'db',
              },
              dataVersion: '1',
            },
          ]),
          bearer(secret),
        ),
    },
    {
      kind: 'pubsub',
      settings: {
        audience: 'https://rotor.example.com',
        serviceAccount: 'push@shop.iam.gserviceaccount.com',
      },
      signsTime: true,
      carriesSecret: false,
      bearer: true,
      request: async (_leaked, { at, strangersKey }) => {
        const seconds = Math.floor(at.getTime() / 1_000);
        const token = await new SignJWT({ email: 'push@shop.iam.gserviceaccount.com', email_verified: true })
          .setProtectedHeader({ alg: 'RS256', kid: 'one' })
          .setIssuer('https://accounts.google.com')
          .setAudience('https://rotor.example.com')
          .setIssuedAt(seconds)
          .setExpirationTime(seconds + 3_600)
          .sign(strangersKey ? keys.strangersRsa : keys.jwtPrivate);
        const message = {
          messageId: '2070443601311540',
          publishTime: NOW.toISOString(),
          attributes: { eventType: 'SECRET_ROTATE', secretId: 'projects/shop/secrets/db' },
        };
        return request(json({ message, subscription: 'projects/shop/subscriptions/rotor' }), {
          authorization: `Bearer ${token}`,
        });
      },
    },
    {
      kind: 'kubernetesAudit',
      settings: { secretsFrom },
      signsTime: false,
      carriesSecret: false,
      bearer: true,
      request: async (leaked, { secret }) => {
        const object = { kind: 'Secret', data: { password: leaked }, stringData: { url: leaked } };
        const event = {
          level: 'RequestResponse',
          auditID: 'a2c1d0b5-6b53-4f0e-9b52-5d4e1f0c9a11',
          stage: 'ResponseComplete',
          requestURI: '/api/v1/namespaces/shop/secrets/db',
          verb: 'get',
          user: {
            username: 'system:serviceaccount:shop:web',
            uid: '7',
            groups: ['system:serviceaccounts', 'system:authenticated'],
            extra: { 'authentication.kubernetes.io/pod-name': ['web-1'] },
          },
          impersonatedUser: { username: 'admin@example.com' },
          sourceIPs: ['10.0.0.9', '192.168.1.4'],
          userAgent: 'kubectl/v1.34.1 (linux/amd64) kubernetes/93248f9',
          objectRef: { resource: 'secrets', namespace: 'shop', name: 'db', apiVersion: 'v1' },
          responseStatus: { metadata: {}, code: 200 },
          requestObject: object,
          responseObject: object,
          requestReceivedTimestamp: NOW.toISOString(),
          stageTimestamp: NOW.toISOString(),
          annotations: { 'authorization.k8s.io/decision': 'allow', note: leaked },
        };
        const list = { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items: [event] };
        return request(json(list), bearer(secret));
      },
    },
    {
      kind: 'generic',
      settings: { secretsFrom, signature: { header: 'X-Signature', prefix: 'sha256=' }, idHeader: 'X-Id' },
      signsTime: false,
      carriesSecret: true,
      bearer: false,
      request: async (leaked, { secret }) => {
        const body = json([{ secret: leaked, severity: 'critical' }]);
        return request(body, {
          'x-signature': `sha256=${hmac(secret, body).digest('hex')}`,
          'x-id': 'delivery-1',
        });
      },
    },
  ];
}
