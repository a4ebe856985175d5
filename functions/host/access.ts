import type { Clock } from '../../core/clock.ts';
import { SecretValue } from '../../core/secret.ts';
import { type AccessKey, type SignedRequest, signatureProblem } from './sigv4.ts';

/** Who may call the functions. */
export interface Access {
  /** `Authorization: Bearer <token>`. */
  readonly token?: SecretValue;
  /** AWS Signature Version 4, as every AWS SDK sends it. */
  readonly accessKey?: AccessKey;
  /** Without token and key: what may come in is decided by the network, such as the gateway of Cloud Run or Knative. */
  readonly trustNetwork: boolean;
}

/**
 * Whether a request may call a function. Without token and key only programs of this machine may: no web page that a
 * browser here has open (they send Origin), and nobody who made a foreign name point to this machine (Host).
 * @returns undefined when it may, else why not, for the log
 */
export function accessProblem(request: SignedRequest, access: Access, clock: Clock): string | undefined {
  const { headers } = request;
  const { token, accessKey, trustNetwork } = access;
  if (token || accessKey) {
    const shown = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (shown !== undefined && token)
      return SecretValue.of(shown).equals(token) ? undefined : 'the token is another one';
    if (accessKey) return signatureProblem(request, accessKey, 'lambda', clock.now());
    return 'there is no token (Authorization: Bearer)';
  }
  if (trustNetwork) return undefined;
  if (headers.origin !== undefined || (headers['sec-fetch-site'] ?? 'none') !== 'none')
    return 'it comes from a web page';
  const host = (headers.host ?? '').replace(/:\d+$/, '');
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(host) ? undefined : 'it asks for another host name';
}
