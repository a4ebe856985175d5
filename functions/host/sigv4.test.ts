import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DescribeSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { beforeAll, expect, test } from 'vitest';
import { SecretValue } from '../../core/secret.ts';
import { type SignedRequest, signatureProblem } from './sigv4.ts';

// Signed by AWS's own SDK; the AWS CLI and boto3 are in test/functions.
const key = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: SecretValue.of('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'),
};
let signed: SignedRequest;

beforeAll(async () => {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    signed = {
      method: request.method ?? '',
      target: request.url ?? '',
      headers: plain(request.headers),
      body: Buffer.concat(chunks),
    };
    response.writeHead(400).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new SecretsManagerClient({
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'eu-central-1',
    maxAttempts: 1,
    credentials: { accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey.reveal() },
  });
  await client.send(new DescribeSecretCommand({ SecretId: 'über all' })).catch(() => undefined);
  await new Promise((resolve) => server.close(resolve));
});

function plain(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

const check = (
  changes: Partial<SignedRequest> = {},
  service = 'secretsmanager',
  now = new Date(),
  using = key,
) => signatureProblem({ ...signed, ...changes }, using, service, now);

test('a request that was signed with the key is let in', () => {
  expect(check()).toBeUndefined();
});

test.each([
  ['another body', { body: Buffer.from('{"SecretId":"other"}') }, /wrong/],
  ['another path', { target: '/2015-03-31/functions/x/invocations' }, /wrong/],
  ['another query', { target: '/?Qualifier=PROD' }, /wrong/],
  ['another method', { method: 'PUT' }, /wrong/],
])('one with %s is not', (_name, changes, words) => {
  expect(check(changes)).toMatch(words);
});

test('neither is one without a signature, for another service, of another key, or of another time', () => {
  expect(check({ headers: { ...signed.headers, authorization: undefined } })).toMatch(/no signature/);
  expect(check({}, 'lambda')).toMatch(/signed for secretsmanager/);
  expect(check({}, 'secretsmanager', new Date(), { ...key, accessKeyId: 'AKIDOTHER' })).toMatch(
    /another one/,
  );
  const other = { ...key, secretAccessKey: SecretValue.of('another-secret-of-some-length') };
  expect(check({}, 'secretsmanager', new Date(), other)).toMatch(/wrong/);
  for (const ms of [-6, 6]) {
    const then = new Date(Date.now() + ms * 60_000);
    expect(check({}, 'secretsmanager', then)).toMatch(/another time/);
  }
});

test('one that does not sign its host and time is refused, whatever else it signs', () => {
  const authorization = signed.headers.authorization?.replace(
    /SignedHeaders=[^,]+/,
    'SignedHeaders=x-amz-target',
  );
  expect(check({ headers: { ...signed.headers, authorization } })).toMatch(/not signed/);
});
