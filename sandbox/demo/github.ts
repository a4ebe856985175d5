import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What GitHub's secret scanning does towards a partner: it publishes its keys, and reports signed with one of them. */
export interface GitHub {
  /** Where its public keys are, as at `https://api.github.com/meta/public_keys/secret_scanning`. */
  readonly keysUrl: string;
  /**
   * Sends a report about a token that it found in public.
   * @param hook the partner's address
   * @returns how it was answered
   */
  report(hook: string, token: string): Promise<{ readonly status: number; readonly label: string }>;
  stop(): Promise<void>;
}

/**
 * Starts a stand-in for GitHub with a key pair of its own. Reports have the form and the signature of the secret scanning
 * partner programme: ECDSA P-256 with SHA-256 over the raw body, DER in base64 (docs.github.com).
 */
export async function startGitHub(): Promise<GitHub> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const key_identifier = createHash('sha256').update(key).digest('hex');
  const published = JSON.stringify({ public_keys: [{ key_identifier, key, is_current: true }] });
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end(published);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    keysUrl: `http://127.0.0.1:${port}/meta/public_keys/secret_scanning`,
    report: async (hook, token) => {
      const found = { token, type: 'shop_database_password', url: '', source: 'content' };
      const body = Buffer.from(JSON.stringify([found]));
      const response = await fetch(hook, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'github-public-key-identifier': key_identifier,
          'github-public-key-signature': sign('sha256', body, privateKey).toString('base64'),
        },
        body,
      });
      const answer = (await response.json()) as readonly { readonly label?: string }[];
      return { status: response.status, label: Array.isArray(answer) ? (answer[0]?.label ?? '') : '' };
    },
    stop: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
