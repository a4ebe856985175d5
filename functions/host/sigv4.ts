import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { SecretValue } from '../../core/secret.ts';

/** What a signature of AWS Signature Version 4 is made over. Names of headers in lower case. */
export interface SignedRequest {
  readonly method: string;
  /** As it was sent: still percent-encoded, with the query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: SecretValue;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
const HEADER =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request,\s*SignedHeaders=([a-z0-9;-]+),\s*Signature=([0-9a-f]{64})$/;
/** As AWS itself allows. */
const SKEW_MS = 5 * 60_000;

/**
 * Whether `request` was signed with `key`, for `service`, in these minutes (AWS IAM user guide, "Create a signed AWS API
 * request"). The hash is taken of the body that came, never of what a header says.
 * @returns undefined when it was, else why not, for the log: the sender isn't told
 */
export function signatureProblem(
  request: SignedRequest,
  key: AccessKey,
  service: string,
  now: Date,
): string | undefined {
  const parts = HEADER.exec(request.headers.authorization ?? '');
  if (!parts) return 'there is no signature (Authorization: AWS4-HMAC-SHA256)';
  const [, keyId, day = '', region = '', signedService, signedHeaders = '', signature = ''] = parts;
  if (keyId !== key.accessKeyId) return 'the access key is another one';
  if (signedService !== service) return `it was signed for ${signedService}, not for ${service}`;
  const names = signedHeaders.split(';');
  if (!names.includes('host') || !names.includes('x-amz-date')) return 'host and x-amz-date are not signed';
  const date = request.headers['x-amz-date'] ?? '';
  const sentMs = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!date.startsWith(day) || !(Math.abs(now.getTime() - sentMs) <= SKEW_MS))
    return 'it was signed at another time: compare the clocks';
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = [ALGORITHM, date, scope, sha256(canonical(request, names))].join('\n');
  const expected = [day, region, service, 'aws4_request', text].reduce<Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    Buffer.from(`AWS4${key.secretAccessKey.reveal()}`),
  );
  return timingSafeEqual(expected, Buffer.from(signature, 'hex')) ? undefined : 'the signature is wrong';
}

function canonical({ method, target, headers, body }: SignedRequest, names: readonly string[]): string {
  const [path = '/', query = ''] = target.split(/\?(.*)/s);
  return [
    method,
    // Every service but S3 encodes the path once more than it was sent.
    path.split('/').map(encode).join('/'),
    query
      .split('&')
      .filter(Boolean)
      .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
      .toSorted()
      .join('&'),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    sha256(body),
  ].join('\n');
}

/** RFC 3986: encodeURIComponent leaves five characters that aren't unreserved. */
function encode(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
